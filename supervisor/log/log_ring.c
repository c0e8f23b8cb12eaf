/* SPDX-License-Identifier: Apache-2.0 */
/* log_ring: see log_ring.h. */
#include "supervisor/log/log_ring.h"

#include <string.h>

void log_ring_add(struct log_ring *ring, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t place = ring->end % LOG_RING_SIZE;
        size_t count = size < LOG_RING_SIZE - place ? size : LOG_RING_SIZE - place;
        memcpy(ring->bytes + place, bytes, count);
        ring->end += count;
        bytes += count;
        size -= count;
    }
}

void log_ring_print(const struct log_ring *ring, struct buffer *out)
{
    uint64_t at = 0;
    if (ring->end > LOG_RING_SIZE) {
        /* The oldest line may be no whole one any more. */
        at = ring->end - LOG_RING_SIZE;
        while (ring->bytes[at++ % LOG_RING_SIZE] != '\n')
            ;
    }
    while (at < ring->end) {
        size_t place = at % LOG_RING_SIZE;
        uint64_t count = ring->end - at;
        if (count > LOG_RING_SIZE - place)
            count = LOG_RING_SIZE - place;
        buffer_append(out, ring->bytes + place, (size_t)count);
        at += count;
    }
}
