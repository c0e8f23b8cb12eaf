/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_output: the supervisor's own standard error, into which the whole fleet's log goes, and which
 * may be a pipe that nobody reads for now.
 *
 * Nothing here waits. What cannot be written is held, up to LOG_OUTPUT_HELD, and tried again; what
 * there is no room for is dropped, counted, and said when there is (log.dropped lines=N). The
 * descriptor's own flags are left alone: others share it.
 *
 * What is held is lost when the process is replaced; log_output_close gives it a last chance.
 *
 * Threading: one thread. There is one of it, as there is one standard error.
 */
#ifndef ARGOSY_SUPERVISOR_LOG_OUTPUT_H
#define ARGOSY_SUPERVISOR_LOG_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* Some seconds of a busy node. */
#define LOG_OUTPUT_HELD 262144

/* Writes to fd (borrowed) from here on. */
void log_output_open(int fd);

/* Log sinks: of a child's records, and of the supervisor's own, of which the latest are kept. */
void log_output_write(const char *record, size_t size);
void log_output_write_own(const char *record, size_t size);

/* Appends the supervisor's own latest records. */
void log_output_last(struct buffer *out);

/* When log_output_tick has something to do; UINT64_MAX: never. */
uint64_t log_output_deadline_ns(void);

/* Tries what is held again. */
void log_output_tick(uint64_t now_ns);

/* Waits for at most wait_ms until what is held is written; the rest is lost. */
void log_output_close(int wait_ms);

#endif
