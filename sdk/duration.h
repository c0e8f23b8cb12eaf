/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duration: between milliseconds and microseconds here and the schema's Duration and Timestamp.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_SDK_DURATION_H
#define ARGOSY_SDK_DURATION_H

#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"

/* duration_ms as a message in arena; NULL when that is exhausted. duration_ms is not negative. */
Api__Duration *duration_create(int64_t duration_ms, struct arena *arena);

/* Milliseconds, cut; 0 for NULL. Out of range values saturate. */
int64_t duration_ms(const Api__Duration *duration);

/* UTC microseconds; 0 for NULL. Out of range values saturate. */
int64_t timestamp_utc_us(const Api__Timestamp *timestamp);

#endif
