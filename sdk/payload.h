/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload: between the public view of a payload and the schema's message.
 *
 * Neither direction copies the payload's bytes: a view points into the message, a message into the
 * view. Whoever keeps one longer than the other copies it (argosy_payload_copy).
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_SDK_PAYLOAD_H
#define ARGOSY_SDK_PAYLOAD_H

#include <argosy/payload.h>
#include <stdbool.h>

#include "api/messages.h"
#include "common/arena.h"

/* A view of message (NULL: absent); further metadata is listed in arena. False when arena is
 * exhausted. */
bool payload_view(const Api__Payload *message, struct arena *arena,
                  struct argosy_payload *ret_payload);
bool payloads_view(const Api__Payloads *message, struct arena *arena,
                   struct argosy_payloads *ret_payloads);

/* The first payload of message, absent when there is none. */
bool payloads_view_first(const Api__Payloads *message, struct arena *arena,
                         struct argosy_payload *ret_payload);

/* Messages in arena that borrow the views' bytes; an absent payload becomes binary/null. NULL when
 * arena is exhausted. An empty list is NULL too, which in a message means no payloads: callers
 * test payloads.count first. */
Api__Payloads *payloads_message(struct argosy_payloads payloads, struct arena *arena);
Api__Payloads *payload_message(const struct argosy_payload *payload, struct arena *arena);

/* Deep copies in arena. False when it is exhausted. */
bool payload_copy(const struct argosy_payload *payload, struct arena *arena,
                  struct argosy_payload *ret_copy);
bool payloads_copy(struct argosy_payloads payloads, struct arena *arena,
                   struct argosy_payloads *ret_copy);

#endif
