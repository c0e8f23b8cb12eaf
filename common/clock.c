/* SPDX-License-Identifier: Apache-2.0 */
/* clock: see clock.h. */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t clock_utc_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

const char *clock_utc_format(int64_t utc_us, char text[CLOCK_UTC_TEXT_SIZE])
{
    int64_t seconds = utc_us / US_PER_S;
    int64_t micros = utc_us % US_PER_S;
    if (micros < 0) {
        micros += US_PER_S;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm parts;
    gmtime_r(&when, &parts);
    size_t length = strftime(text, CLOCK_UTC_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, CLOCK_UTC_TEXT_SIZE - length, ".%06dZ", (int)micros);
    return text;
}
