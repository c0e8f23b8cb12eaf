/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover_text: what a supervisor hands over, as text and as structs (handover.h).
 *
 * Threading: none.
 */
#ifndef ARGOSY_SUPERVISOR_HANDOVER_TEXT_H
#define ARGOSY_SUPERVISOR_HANDOVER_TEXT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/uuid.h"
#include "supervisor/death.h"
#include "supervisor/placement/placement.h"
#include "supervisor/status_page.h"

#define HANDOVER_DEATH_MAX 16 /* of a process, the latest last */

struct handover_node {
    char config_path[PATH_MAX];
    int lock_fd;
    int http_fd;
    bool is_announced;
    uint64_t last_sequence; /* of deaths told to the link */
};

struct handover_process {
    char name[PLACEMENT_NAME_MAX];
    int pid; /* 0: it does not run, and has no descriptors */
    int pidfd, ready_fd, progress_fd, lifeline_fd, link_fd, log_fd; /* -1: none */
    char instance_id[UUID_TEXT_SIZE];
    char device[STATUS_UUID_MAX]; /* that it was started with */
    uint64_t started_ns;
    int state; /* enum lifecycle_state */
    int cause; /* enum death_cause */
    bool is_stopping, was_ready, has_progress;
    uint64_t ready_ns, progress_ns, deadline_ns;
    bool is_drained, is_drain_kept, is_stale;
    int restarts[DEATH_KIND_COUNT];
};

/* A death of the process on the line before it. */
struct handover_death {
    uint64_t at_ns, healthy_ns;
    int status, cause, memory_mb, memory_max_mb;
};

struct handover_scale {
    char group[PLACEMENT_NAME_MAX];
    int processes, configured;
    bool is_kept;
};

/* A death that the engine does not know of yet. */
struct handover_lost {
    uint64_t sequence;
    int pid;
    char instance_id[UUID_TEXT_SIZE];
    char reason[DEATH_TEXT_MAX];
};

/* A line of it. */
enum handover_kind {
    HANDOVER_NODE,
    HANDOVER_PROCESS,
    HANDOVER_DEATH,
    HANDOVER_SCALE,
    HANDOVER_LOST,
};
#define HANDOVER_KIND_COUNT 5

struct handover_line {
    enum handover_kind kind;
    union {
        struct handover_node node;
        struct handover_process process;
        struct handover_death death;
        struct handover_scale scale;
        struct handover_lost lost;
    };
};

/* Appends a line. */
void handover_line_print(const struct handover_line *line, struct buffer *out);

/* Reads a line, which has no line feed at its end. ERR_INVALID names the word or key that is
 * unknown or malformed. */
int handover_line_read(const char *text, size_t size, struct handover_line *ret_line,
                       struct error *err);

#endif
