/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_message: building and reading the few messages of the pipeline by hand.
 * Threading: any thread; no state. Running out of memory aborts.
 */
#ifndef ARGOSY_BENCH_PIPELINE_MESSAGE_H
#define ARGOSY_BENCH_PIPELINE_MESSAGE_H

#include "api/messages.h"
#include "common/arena.h"

/* A new message of the described type in arena. */
void *message_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor);

/* One binary payload with this text. */
Api__Payloads *payloads_new(struct arena *arena, const char *text);

/* The text of the only payload, in arena; "" when there is none. */
const char *payloads_text(const Api__Payloads *payloads, struct arena *arena);

Api__TaskQueue *task_queue_new(struct arena *arena, const char *name, Api__TaskQueueKind kind,
                               const char *normal_name);
Api__Duration *seconds_new(struct arena *arena, int64_t seconds);

#endif
