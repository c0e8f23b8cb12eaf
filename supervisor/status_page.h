/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_page: what the supervisor knows of its processes, in memory that it shares with its link
 * (docs/spec/04-supervision.md, section "Status"). The link reads it without asking, so that probes
 * are answered whatever the supervisor is doing, and can tell whether its loop still turns.
 *
 * One writer, any number of readers, under a sequence lock: odd while it is written. The heartbeat
 * stands outside of it. The page is a memfd, named to the link by ARGOSY_STATUS_FD; times are
 * CLOCK_MONOTONIC, which all processes of a node share.
 *
 * Threading: one thread writes; a reader object belongs to one thread.
 */
#ifndef ARGOSY_SUPERVISOR_STATUS_PAGE_H
#define ARGOSY_SUPERVISOR_STATUS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "supervisor/lifecycle.h"

#define STATUS_ENV_FD "ARGOSY_STATUS_FD"

/* The supervisor's loop turns at least this often. */
#define STATUS_TURN_NS (2 * NS_PER_S)
/* A heartbeat that is older tells of a loop that no longer turns: five turns. */
#define STATUS_STALE_NS (10 * NS_PER_S)

#define STATUS_NAME_MAX 96

struct status_process {
    char name[STATUS_NAME_MAX];  /* "engine", "link", "cpu/0" */
    char group[STATUS_NAME_MAX]; /* of a worker; "" for the fleet's own processes */
    int32_t pid;                 /* 0: none */
    int32_t state;               /* enum lifecycle_state */
    bool was_ready;              /* at least once */
    bool is_drained;             /* an operator wants it down */
    uint64_t started_ns;         /* of the process there is; 0: none */
    uint32_t restarts[DEATH_KIND_COUNT];
    uint64_t death_ns; /* the last one; 0: none */
    char death[DEATH_TEXT_MAX];
};

enum status_phase { STATUS_PHASE_STARTING, STATUS_PHASE_RUNNING, STATUS_PHASE_STOPPING };

/* The page as a reader sees it. */
struct status {
    uint64_t heartbeat_ns; /* when the loop last turned */
    uint64_t started_ns;   /* when the supervisor began */
    enum status_phase phase;
    size_t process_count;
    struct status_process *processes; /* in the order of the plan */
};

/* The supervisor's side */

struct status_page;

/* A page for count processes; all of it is zero. ERR_IO, ERR_MEMORY. */
int status_page_create(size_t count, struct status_page **ret_page, struct error *err);

/* Accepts NULL. */
void status_page_destroy(struct status_page *page);

/* What the link inherits. */
int status_page_fd(const struct status_page *page);

void status_page_beat(struct status_page *page, uint64_t now_ns);

/* Between begin and end the rows, of which there are count, may be written. */
struct status_process *status_page_begin(struct status_page *page);
void status_page_end(struct status_page *page, enum status_phase phase);

/* The link's side */

struct status_reader;

/* Takes fd over on success. ERR_INVALID when it is no page of this build. */
int status_reader_open(int fd, struct status_reader **ret_reader, struct error *err);

/* Accepts NULL. */
void status_reader_close(struct status_reader *reader);

/* The page as it is now; borrowed until the next call. ERR_UNAVAILABLE when the writer stopped in
 * the middle of a change; the heartbeat is there all the same. */
int status_read(struct status_reader *reader, const struct status **ret_status, struct error *err);

/* Whether the supervisor's loop turns. */
bool status_is_alive(const struct status *status, uint64_t now_ns);

#endif
