/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the two clocks of the project. Durations and deadlines inside a process are monotonic
 * nanoseconds (`_ns`); what is stored or sent is UTC microseconds since 1970 (`_utc_us`).
 *
 * Deterministic code (engine core, workflow code, placement) never calls these: it is handed time.
 * Threading: any thread.
 */
#ifndef ARGOSY_COMMON_CLOCK_H
#define ARGOSY_COMMON_CLOCK_H

#include <stdint.h>

#include "common/time_unit.h"

uint64_t clock_monotonic_ns(void);
int64_t clock_utc_us(void);

/* Room for "2026-01-31T23:59:59.123456Z" and its terminator. */
#define CLOCK_UTC_TEXT_SIZE 32

/* Formats utc_us as RFC 3339 with microseconds in UTC; returns text. */
const char *clock_utc_format(int64_t utc_us, char text[CLOCK_UTC_TEXT_SIZE]);

#endif
