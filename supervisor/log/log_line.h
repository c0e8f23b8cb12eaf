/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_line: one line of a child's output, made a record of the fleet's one log.
 *
 * A record of common/log, in the format of this process's log, gets the name of the process that
 * wrote it: `worker=cpu/0` behind `process=`. Any other line (a plug-in's printf, what a library or
 * a sanitizer says) becomes the text of a record of its own, process.output, so that a collector
 * meets records only.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_LOG_LINE_H
#define ARGOSY_SUPERVISOR_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"

/* The longest line that is looked at. */
#define LOG_LINE_MAX LOG_RECORD_MAX
/* The longest record made of one: with a name. */
#define LOG_LINE_RECORD_MAX (LOG_RECORD_MAX + 128)

/* Who wrote it: "worker-cpu", "cpu/0"; the same for a process that is the only one of its kind,
 * whose records are left as they are. Each at most 80 bytes. */
struct log_line_writer {
    const char *process;
    const char *worker;
};

/* Makes control characters spaces, and what is no UTF-8 question marks. */
void log_line_clean(char *line, size_t size);

/* How much it matters: a record's level; warn for anything else, which was written past the log. */
enum log_level log_line_level(const char *line, size_t size);

/* Makes a record, with its line feed, of a clean line without one; returns its size. cut is how
 * many bytes the line had behind these. */
size_t log_line_compose(char out[LOG_LINE_RECORD_MAX], const struct log_line_writer *writer,
                        const char *line, size_t size, size_t cut);

#endif
