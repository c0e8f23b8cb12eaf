/* SPDX-License-Identifier: Apache-2.0 */
/* json_time: see json_time.h. */
#include "api/json_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NANOS_PER_S 1000000000
/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z */
#define SECONDS_MIN INT64_C(-62135596800)
#define SECONDS_MAX INT64_C(253402300799)
/* 10,000 years, proto3's bound of a Duration. */
#define DURATION_SECONDS_MAX INT64_C(315576000000)

/* ".5" as ".500": as many groups of three digits as it takes; "" for 0. */
static void format_fraction(int32_t nanos, char text[16])
{
    if (nanos == 0)
        text[0] = '\0';
    else if (nanos % 1000000 == 0)
        snprintf(text, 16, ".%03d", nanos / 1000000);
    else if (nanos % 1000 == 0)
        snprintf(text, 16, ".%06d", nanos / 1000);
    else
        snprintf(text, 16, ".%09d", nanos);
}

bool json_time_format_timestamp(const Api__Timestamp *timestamp, char text[JSON_TIME_SIZE])
{
    if (timestamp->seconds < SECONDS_MIN || timestamp->seconds > SECONDS_MAX ||
        timestamp->nanos < 0 || timestamp->nanos >= NANOS_PER_S)
        return false;
    time_t seconds = (time_t)timestamp->seconds;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char fraction[16];
    format_fraction(timestamp->nanos, fraction);
    snprintf(text, JSON_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%sZ",
             (int)((unsigned)(tm.tm_year + 1900) % 10000), tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, fraction);
    return true;
}

bool json_time_format_duration(const Api__Duration *duration, char text[JSON_TIME_SIZE])
{
    int64_t seconds = duration->seconds;
    int32_t nanos = duration->nanos;
    if (seconds < -DURATION_SECONDS_MAX || seconds > DURATION_SECONDS_MAX ||
        nanos <= -NANOS_PER_S || nanos >= NANOS_PER_S || (seconds > 0 && nanos < 0) ||
        (seconds < 0 && nanos > 0))
        return false;
    bool negative = seconds < 0 || nanos < 0;
    char fraction[16];
    format_fraction(negative ? -nanos : nanos, fraction);
    snprintf(text, JSON_TIME_SIZE, "%s%" PRId64 "%ss", negative ? "-" : "",
             negative ? -seconds : seconds, fraction);
    return true;
}

/* Exactly count digits; moves *text. */
static bool parse_digits(const char **text, int count, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        number = number * 10 + (**text - '0');
    }
    *ret_number = number;
    return true;
}

static bool parse_char(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

/* Nothing, or a point and 1 to 9 digits. */
static bool parse_fraction(const char **text, int32_t *ret_nanos)
{
    int32_t nanos = 0;
    int digits = 0;
    if (**text == '.') {
        (*text)++;
        for (; **text >= '0' && **text <= '9' && digits < 9; (*text)++, digits++)
            nanos = nanos * 10 + (**text - '0');
        if (digits == 0)
            return false;
    }
    for (; digits < 9; digits++)
        nanos *= 10;
    *ret_nanos = nanos;
    return true;
}

/* "Z" or "+01:00"; seconds east of UTC. */
static bool parse_zone(const char **text, int *ret_offset)
{
    if (**text == 'Z' || **text == 'z') {
        (*text)++;
        *ret_offset = 0;
        return true;
    }
    int hours, minutes;
    int sign = **text == '-' ? -1 : 1;
    if (**text != '-' && **text != '+')
        return false;
    (*text)++;
    if (!parse_digits(text, 2, &hours) || !parse_char(text, ':') ||
        !parse_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_offset = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_date_time(const char **text, struct tm *tm)
{
    struct tm parsed = {0};
    if (!parse_digits(text, 4, &parsed.tm_year) || !parse_char(text, '-') ||
        !parse_digits(text, 2, &parsed.tm_mon) || !parse_char(text, '-') ||
        !parse_digits(text, 2, &parsed.tm_mday) ||
        !(parse_char(text, 'T') || parse_char(text, 't')) ||
        !parse_digits(text, 2, &parsed.tm_hour) || !parse_char(text, ':') ||
        !parse_digits(text, 2, &parsed.tm_min) || !parse_char(text, ':') ||
        !parse_digits(text, 2, &parsed.tm_sec))
        return false;
    parsed.tm_year -= 1900;
    parsed.tm_mon -= 1;
    *tm = parsed;
    return true;
}

bool json_time_parse_timestamp(const char *text, Api__Timestamp *ret_timestamp)
{
    struct tm tm;
    int32_t nanos;
    int offset;
    if (!parse_date_time(&text, &tm) || !parse_fraction(&text, &nanos) ||
        !parse_zone(&text, &offset) || *text != '\0')
        return false;
    struct tm given = tm;
    int64_t seconds = (int64_t)timegm(&tm);
    /* timegm moves an impossible date ("02-30") to a possible one. */
    if (tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon || tm.tm_year != given.tm_year ||
        tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec)
        return false;
    seconds -= offset;
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX)
        return false;
    api__timestamp__init(ret_timestamp);
    ret_timestamp->has_seconds = 1;
    ret_timestamp->seconds = seconds;
    ret_timestamp->has_nanos = nanos != 0;
    ret_timestamp->nanos = nanos;
    return true;
}

bool json_time_parse_duration(const char *text, Api__Duration *ret_duration)
{
    bool negative = parse_char(&text, '-');
    int64_t seconds = 0;
    int32_t nanos;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9' && seconds <= DURATION_SECONDS_MAX; text++)
        seconds = seconds * 10 + (*text - '0');
    if (seconds > DURATION_SECONDS_MAX || !parse_fraction(&text, &nanos) || strcmp(text, "s") != 0)
        return false;
    api__duration__init(ret_duration);
    ret_duration->has_seconds = 1;
    ret_duration->seconds = negative ? -seconds : seconds;
    ret_duration->has_nanos = nanos != 0;
    ret_duration->nanos = negative ? -nanos : nanos;
    return true;
}
