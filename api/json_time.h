/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_time: Timestamp and Duration as text, as proto3's JSON mapping writes them. Part of json.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_API_JSON_TIME_H
#define ARGOSY_API_JSON_TIME_H

#include <stdbool.h>

#include "api/messages.h"

#define JSON_TIME_SIZE 48

/* "2026-01-31T23:59:59.500Z": no, 3, 6 or 9 digits of fraction. False when the time is outside the
 * years 1 to 9999 or its nanoseconds outside a second. */
bool json_time_format_timestamp(const Api__Timestamp *timestamp, char text[JSON_TIME_SIZE]);

/* "-3.500s". False when seconds and nanoseconds have different signs or nanoseconds are over one
 * second. */
bool json_time_format_duration(const Api__Duration *duration, char text[JSON_TIME_SIZE]);

/* Any RFC 3339 time, any number of up to 9 digits; false for anything else. All of ret is set. */
bool json_time_parse_timestamp(const char *text, Api__Timestamp *ret_timestamp);
bool json_time_parse_duration(const char *text, Api__Duration *ret_duration);

#endif
