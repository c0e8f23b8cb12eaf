/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line per record on standard error, logfmt or JSON. Only binaries log; libraries return
 * errors.
 *
 *     log_info("worker.started", "pid=%d queue=%s", pid, queue);
 *     -> ts=2026-01-31T23:59:59.123456Z level=info process=supervisor event=worker.started pid=7
 * ...
 *
 * The event is noun.past_participle. The rest is logfmt (key=value, values with spaces quoted by
 * log_quote). Each record is one write(2), so that records of several processes on one pipe do not
 * mix. No record waits for a reader: what standard error has no room for is dropped, counted, and
 * said (log.dropped lines=N) before the next record that it has room for.
 *
 * Threading: any thread after log_open.
 */
#ifndef ARGOSY_COMMON_LOG_H
#define ARGOSY_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* The longest record, with its line feed. */
#define LOG_RECORD_MAX 4096

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Names the process in every record and sets what is written; call once, before threads start.
 * process is borrowed for ever. Defaults: "argosy", info, logfmt. */
void log_open(const char *process, enum log_level level, enum log_format format);

/* Where records go instead of standard error. Called by the thread that logs; record is borrowed,
 * and ends with its line feed. */
typedef void log_sink(const char *record, size_t size);
void log_open_sink(log_sink *sink);

enum log_format log_format_get(void);

/* What is written from now on; at any time, from any thread. */
void log_set_level(enum log_level level);

/* "debug", "info", "warn", "error"; "logfmt", "json". Return 0 or ERR_INVALID. */
int log_level_parse(const char *text, enum log_level *ret_level);
int log_format_parse(const char *text, enum log_format *ret_format);

bool log_is_enabled(enum log_level level);

void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of a text that may be about a workflow run (workflow_id NULL: about none):
 * workflow_type=... workflow_id=... run_id=... text="...". */
void log_write_run(enum log_level level, const char *event, const char *workflow_type,
                   const char *workflow_id, const char *run_id, const char *text);

/* A record of another process, in this one's format. Returns its size. */
size_t log_compose(char out[LOG_RECORD_MAX], enum log_level level, const char *process,
                   const char *event, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Writes at most LOG_RECORD_MAX bytes if that does not wait; whether it did. */
bool log_write_now(int fd, const char *bytes, size_t size);

/* What is for people, on standard output: as much of it as does not wait. */
void log_say(const char *text);

/* Quotes text as a logfmt value into out (cut with "..." when it does not fit; control characters
 * become spaces); returns out. */
const char *log_quote(const char *text, char *out, size_t size);

#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif
