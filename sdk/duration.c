/* SPDX-License-Identifier: Apache-2.0 */
/* duration: see duration.h. */
#include "sdk/duration.h"

#include "common/clock.h"

Api__Duration *duration_create(int64_t duration_ms, struct arena *arena)
{
    Api__Duration *duration = arena_alloc(arena, sizeof *duration);
    if (duration == NULL)
        return NULL;
    api__duration__init(duration);
    duration->has_seconds = 1;
    duration->seconds = duration_ms / 1000;
    duration->has_nanos = 1;
    duration->nanos = (int32_t)(duration_ms % 1000) * 1000000;
    return duration;
}

/* seconds * per_second + part, or the nearest value there is. */
static int64_t saturate(int64_t seconds, int64_t per_second, int64_t part)
{
    int64_t value;
    if (__builtin_mul_overflow(seconds, per_second, &value) ||
        __builtin_add_overflow(value, part, &value))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return value;
}

int64_t duration_ms(const Api__Duration *duration)
{
    return duration == NULL ? 0 : saturate(duration->seconds, 1000, duration->nanos / 1000000);
}

int64_t timestamp_utc_us(const Api__Timestamp *timestamp)
{
    return timestamp == NULL ? 0 : saturate(timestamp->seconds, US_PER_S, timestamp->nanos / 1000);
}
