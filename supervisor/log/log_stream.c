/* SPDX-License-Identifier: Apache-2.0 */
/* log_stream: see log_stream.h. */
#include "supervisor/log/log_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "supervisor/log/log_ring.h"

/* A line costs the time in which it is earned back. */
#define COST_NS   (NS_PER_S / LOG_STREAM_RATE)
#define CREDIT_NS (LOG_STREAM_BURST * COST_NS)

/* Room for a burst: 2,000 lines of 128 bytes. More than the system lets us have is not had. */
#define PIPE_SIZE (LOG_STREAM_BURST * 128)

/* 64 KiB every 20 ms are 3 MB a second: 25,000 lines, of which 200 are passed on. */
#define CHUNK_SIZE 16384
#define CHUNK_MAX  4
#define PAUSE_NS   (20 * NS_PER_MS)

/* How often it is said that lines were left out. */
#define REPORT_NS NS_PER_S

/* Lines that others may still have when a level is left out. */
static const unsigned reserves[] = {
    [LOG_LEVEL_DEBUG] = 600,
    [LOG_LEVEL_INFO] = 400,
    [LOG_LEVEL_WARN] = 200,
    [LOG_LEVEL_ERROR] = 0,
};

struct log_stream {
    /* identity */
    struct log_line_writer writer;
    log_sink *sink;

    /* the line that is being read */
    size_t line_size;
    size_t line_cut; /* bytes that line had no room for */

    /* rate */
    uint64_t credit_ns;
    uint64_t earned_ns; /* until when */
    uint64_t left_out;  /* lines that were not said yet */
    uint64_t report_ns; /* when they are; UINT64_MAX: there are none */

    /* links */
    int fd;            /* -1: none */
    uint64_t pause_ns; /* when a pause is over; UINT64_MAX: there is none */

    struct log_ring kept;
    char line[LOG_LINE_MAX];
};

int log_stream_create(const struct log_line_writer *writer, log_sink *sink,
                      struct log_stream **ret_stream, struct error *err)
{
    struct log_stream *stream = malloc(sizeof *stream);
    if (stream == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    /* What is large stays untouched, and so costs nothing, until something is written. */
    memset(stream, 0, offsetof(struct log_stream, kept.bytes));
    stream->writer = *writer;
    stream->sink = sink;
    stream->credit_ns = CREDIT_NS;
    stream->report_ns = stream->pause_ns = UINT64_MAX;
    stream->fd = -1;
    *ret_stream = stream;
    return 0;
}

void log_stream_destroy(struct log_stream *stream)
{
    if (stream != NULL && stream->fd >= 0)
        close(stream->fd);
    free(stream);
}

int log_stream_open(struct log_stream *stream, int *ret_end)
{
    int fds[2];
    ASSERT(stream->fd < 0);
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return errno;
    fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
    stream->fd = fds[0];
    stream->kept.end = 0;
    *ret_end = fds[1];
    return 0;
}

void log_stream_adopt(struct log_stream *stream, int fd)
{
    ASSERT(stream->fd < 0);
    stream->fd = fd;
}

int log_stream_fd(const struct log_stream *stream)
{
    return stream->fd;
}

/* Lines */

/* Whether a line of that level may be passed on; if so it is paid for. */
static bool pay(struct log_stream *stream, enum log_level level, uint64_t now_ns)
{
    uint64_t earned_ns = now_ns - stream->earned_ns;
    stream->earned_ns = now_ns;
    stream->credit_ns =
        earned_ns < CREDIT_NS - stream->credit_ns ? stream->credit_ns + earned_ns : CREDIT_NS;
    if (stream->credit_ns < (reserves[level] + 1) * COST_NS)
        return false;
    stream->credit_ns -= COST_NS;
    return true;
}

static void finish_line(struct log_stream *stream, uint64_t now_ns)
{
    char record[LOG_LINE_RECORD_MAX];
    size_t size = stream->line_size;
    size_t cut = stream->line_cut;
    stream->line_size = stream->line_cut = 0;
    if (size > 0 && stream->line[size - 1] == '\r')
        size--;
    if (size == 0)
        return;
    log_line_clean(stream->line, size);
    log_ring_add(&stream->kept, stream->line, size);
    log_ring_add(&stream->kept, cut > 0 ? "...\n" : "\n", cut > 0 ? 4 : 1);
    if (pay(stream, log_line_level(stream->line, size), now_ns)) {
        stream->sink(record, log_line_compose(record, &stream->writer, stream->line, size, cut));
        return;
    }
    if (stream->left_out++ == 0)
        stream->report_ns = now_ns + REPORT_NS;
}

void log_stream_feed(struct log_stream *stream, const char *bytes, size_t size, uint64_t now_ns)
{
    const char *end = bytes + size;
    while (bytes < end) {
        const char *feed = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t count = (size_t)((feed != NULL ? feed : end) - bytes);
        size_t room = LOG_LINE_MAX - 1 - stream->line_size;
        size_t taken = count < room ? count : room;
        memcpy(stream->line + stream->line_size, bytes, taken);
        stream->line_size += taken;
        stream->line_cut += count - taken;
        if (feed == NULL)
            return;
        finish_line(stream, now_ns);
        bytes = feed + 1;
    }
}

static void report(struct log_stream *stream)
{
    char record[LOG_RECORD_MAX];
    const struct log_line_writer *writer = &stream->writer;
    size_t size =
        log_compose(record, LOG_LEVEL_WARN, "supervisor", "log.suppressed", "name=%s lines=%llu",
                    writer->worker, (unsigned long long)stream->left_out);
    stream->left_out = 0;
    stream->report_ns = UINT64_MAX;
    stream->sink(record, size);
}

/* The pipe */

static void end_pipe(struct log_stream *stream, uint64_t now_ns)
{
    finish_line(stream, now_ns);
    close(stream->fd);
    stream->fd = -1;
    stream->pause_ns = UINT64_MAX;
}

/* Reads up to count chunks. True when there may be more. */
static bool read_chunks(struct log_stream *stream, int count, uint64_t now_ns)
{
    char chunk[CHUNK_SIZE];
    for (; count > 0; count--) {
        ssize_t size = read(stream->fd, chunk, sizeof chunk);
        if (size <= 0)
            return size < 0 && (errno == EAGAIN || errno == EINTR);
        log_stream_feed(stream, chunk, (size_t)size, now_ns);
    }
    return true;
}

void log_stream_read(struct log_stream *stream, uint64_t now_ns)
{
    ASSERT(stream->fd >= 0);
    stream->pause_ns = now_ns + PAUSE_NS;
    if (!read_chunks(stream, CHUNK_MAX, now_ns))
        end_pipe(stream, now_ns);
}

void log_stream_close(struct log_stream *stream, uint64_t now_ns)
{
    if (stream->fd < 0)
        return;
    /* What the pipe holds, and not what somebody it left behind goes on writing. */
    read_chunks(stream, PIPE_SIZE / CHUNK_SIZE + 1, now_ns);
    end_pipe(stream, now_ns);
    if (stream->left_out > 0)
        report(stream);
}

uint64_t log_stream_deadline_ns(const struct log_stream *stream)
{
    return stream->report_ns < stream->pause_ns ? stream->report_ns : stream->pause_ns;
}

bool log_stream_tick(struct log_stream *stream, uint64_t now_ns)
{
    if (now_ns >= stream->report_ns)
        report(stream);
    if (now_ns < stream->pause_ns)
        return false;
    stream->pause_ns = UINT64_MAX;
    return stream->fd >= 0;
}

void log_stream_last(const struct log_stream *stream, struct buffer *out)
{
    log_ring_print(&stream->kept, out);
}
