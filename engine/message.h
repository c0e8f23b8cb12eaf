/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: making schema messages in an arena, and messages that are kept and replaced.
 *
 * The core aborts when memory is exhausted (core.h), so nothing here fails.
 * Threading: one thread at a time per arena.
 */
#ifndef ARGOSY_ENGINE_MESSAGE_H
#define ARGOSY_ENGINE_MESSAGE_H

#include <stdarg.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"

/* An initialised message of the described type. */
void *message_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor);

/* A deep copy; NULL gives NULL. */
void *message_copy(struct arena *arena, const void *message);

/* Copies that cannot fail; NULL gives NULL. */
void *memory_copy(struct arena *arena, const void *data, size_t size);
char *text_copy(struct arena *arena, const char *text);
char *text_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A copy that is UTF-8 whatever text is: error texts are cut by bytes, which may split a character,
 * and repeat what a peer sent. */
char *text_copy_valid(struct arena *arena, const char *text);

/* "" for NULL: an absent string of the schema reads as empty. */
const char *text_or_empty(const char *text);

/* Times and durations between microseconds and the schema's messages. An absent message reads as 0;
 * a duration below 0 reads as 0 and one beyond 100 years as 100 years, so that sums of a few of
 * them never overflow. */
#define DURATION_US_MAX (INT64_C(100) * 366 * 86400 * 1000000)
Api__Timestamp *timestamp_new(struct arena *arena, int64_t utc_us);
int64_t timestamp_us(const Api__Timestamp *timestamp);
Api__Duration *duration_new(struct arena *arena, int64_t us);
int64_t duration_us(const Api__Duration *duration);

/* A payload that holds JSON text. */
Api__Payload *payload_json_new(struct arena *arena, const char *text);

/* A message that is replaced again and again (heartbeat details), in memory of its own so that the
 * arena of its run does not grow. Zero-initialised is empty. kept_set copies; NULL empties it. */
struct kept {
    struct arena arena;
    void *message;
};
void kept_set(struct kept *kept, const void *message);
void kept_fini(struct kept *kept);

#endif
