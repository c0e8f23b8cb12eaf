/* SPDX-License-Identifier: Apache-2.0 */
/* log_output: see log_output.h. */
#include "supervisor/log/log_output.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/log/log_ring.h"

/* A reader that is back is served at a pipe's size every 50 ms: more than a megabyte a second. */
#define RETRY_NS (50 * NS_PER_MS)

static struct {
    int fd;
    struct buffer held;
    size_t written;    /* of what is held */
    uint64_t dropped;  /* records */
    uint64_t retry_ns; /* UINT64_MAX: nothing is held */
} output = {.fd = STDERR_FILENO, .retry_ns = UINT64_MAX};

static struct log_ring own; /* the supervisor's records */

void log_output_open(int fd)
{
    output.fd = fd;
}

/* Writes as much of what is held as does not wait. True when all is written. */
static bool write_held(void)
{
    while (output.written < output.held.size) {
        size_t left = output.held.size - output.written;
        size_t size = left < LOG_RECORD_MAX ? left : LOG_RECORD_MAX;
        if (!log_write_now(output.fd, (const char *)output.held.data + output.written, size))
            return false;
        output.written += size;
    }
    buffer_fini(&output.held);
    output.written = 0;
    return true;
}

static bool hold(const char *record, size_t size)
{
    if (output.held.size + size > LOG_OUTPUT_HELD)
        return false;
    buffer_append(&output.held, record, size);
    bool is_held = !output.held.failed;
    output.held.failed = false;
    return is_held;
}

/* Writes all, and says first what had to be left out. */
static bool catch_up(void)
{
    if (!write_held())
        return false;
    if (output.dropped == 0)
        return true;
    char notice[LOG_RECORD_MAX];
    size_t size = log_compose(notice, LOG_LEVEL_WARN, "supervisor", "log.dropped", "lines=%llu",
                              (unsigned long long)output.dropped);
    if (!log_write_now(output.fd, notice, size))
        return false;
    output.dropped = 0;
    return true;
}

static void settle(uint64_t now_ns)
{
    output.retry_ns = catch_up() ? UINT64_MAX : now_ns + RETRY_NS;
}

void log_output_write(const char *record, size_t size)
{
    /* While something is held its next try is awaited: this comes behind it. */
    if (output.retry_ns == UINT64_MAX && size <= LOG_RECORD_MAX &&
        log_write_now(output.fd, record, size))
        return;
    if (output.dropped > 0 || !hold(record, size))
        output.dropped++;
    if (output.retry_ns == UINT64_MAX)
        settle(clock_monotonic_ns());
}

void log_output_write_own(const char *record, size_t size)
{
    log_ring_add(&own, record, size);
    log_output_write(record, size);
}

void log_output_last(struct buffer *out)
{
    log_ring_print(&own, out);
}

uint64_t log_output_deadline_ns(void)
{
    return output.retry_ns;
}

void log_output_tick(uint64_t now_ns)
{
    if (now_ns >= output.retry_ns)
        settle(now_ns);
}

void log_output_close(int wait_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)wait_ms * NS_PER_MS;
    while (!catch_up()) {
        uint64_t now_ns = clock_monotonic_ns();
        struct pollfd room = {.fd = output.fd, .events = POLLOUT};
        if (now_ns >= end_ns || poll(&room, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) != 1 ||
            room.revents != POLLOUT)
            break;
    }
    buffer_fini(&output.held);
    output.written = 0;
    output.dropped = 0;
    output.retry_ns = UINT64_MAX;
}
