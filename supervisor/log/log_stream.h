/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_stream: what one process writes to its standard output and error, on its way into the fleet's
 * one log (docs/spec/04-supervision.md, section "Log").
 *
 * Both of the child's descriptors are one pipe, which never holds the child up: what it has no room
 * for the child drops (common/log counts it). Lines are cut, made harmless and made records
 * (log_line), at most LOG_STREAM_RATE a second after a burst; what is over it is counted, and said
 * once a second: debug goes first, errors last. The latest lines are kept as they were written, for
 * whoever asks why the process died; these count before the rate.
 *
 * A read is followed by a pause, so that a flood costs a bounded part of a core and cannot keep the
 * loop from anything else: watch the descriptor for one event, and again when log_stream_tick says.
 *
 * What is kept is lost when the supervisor is replaced; the pipe is not (log_stream_adopt).
 *
 * Threading: one thread. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_LOG_STREAM_H
#define ARGOSY_SUPERVISOR_LOG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "supervisor/log/log_line.h"

/* A busy worker logs some lines a second; a start, or an error met by every task, hundreds. */
#define LOG_STREAM_RATE  200
#define LOG_STREAM_BURST 2000

struct log_stream;

/* Makes a stream that hands its records to sink. The writer's names are borrowed. ERR_MEMORY. */
int log_stream_create(const struct log_line_writer *writer, log_sink *sink,
                      struct log_stream **ret_stream, struct error *err);

/* Accepts NULL. */
void log_stream_destroy(struct log_stream *stream);

/* Opens the pipe for a new life, whose latest lines are none yet; *ret_end, the caller's to close,
 * is the child's end. Returns 0 or an errno. */
int log_stream_open(struct log_stream *stream, int *ret_end);

/* Takes over the reading end of a child that another supervisor started. */
void log_stream_adopt(struct log_stream *stream, int fd);

/* The reading end, to be watched for one event; -1: none. */
int log_stream_fd(const struct log_stream *stream);

/* Reads what came, up to a bound, and pauses. At its end the pipe is closed. */
void log_stream_read(struct log_stream *stream, uint64_t now_ns);

/* The process has died: reads what is left, and closes the pipe. */
void log_stream_close(struct log_stream *stream, uint64_t now_ns);

/* When log_stream_tick has something to do; UINT64_MAX: never. */
uint64_t log_stream_deadline_ns(const struct log_stream *stream);

/* Says what was left out; true when a pause is over, and the descriptor is to be watched again. */
bool log_stream_tick(struct log_stream *stream, uint64_t now_ns);

/* Appends the latest lines of this life. */
void log_stream_last(const struct log_stream *stream, struct buffer *out);

/* As log_stream_read, of bytes at hand. */
void log_stream_feed(struct log_stream *stream, const char *bytes, size_t size, uint64_t now_ns);

#endif
