/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: the processes of this machine under supervision, and what is done to one of them: starting,
 * stopping, replacing, taking note of its death; each with its log record, and deaths with the news
 * to the link. What is to be done when is decided by sequence.h (order of start and end), order.h
 * (operators) and supervisor.h (the loop).
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_NODE_H
#define ARGOSY_SUPERVISOR_NODE_H

#include <stdbool.h>

#include "common/error.h"
#include "supervisor/log/crash_folder.h"
#include "supervisor/gpu/gpu_guard.h"
#include "supervisor/link/link_channel.h"
#include "supervisor/loop.h"
#include "supervisor/plan.h"
#include "supervisor/process.h"
#include "supervisor/roster.h"
#include "supervisor/status_page.h"

struct node {
    /* configuration: in force */
    struct plan_source source;
    struct plan plan; /* owned */
    struct process_setting setting;

    /* state */
    struct roster roster;
    bool is_stopping;
    bool is_announced; /* "fleet ready" was said */
    bool is_hurried;   /* what still runs is to be killed */
    bool is_upgrading; /* the loop is to become the new program */
    int exit_code;
    struct link_channel channel;
    struct gpu_guard gpus;
    struct memory_limit memory;
    uint64_t memory_ns; /* when it was last looked at */
    struct crash_folder crashes;

    /* links */
    struct status_page *page;
    struct loop loop;
};

/* A node of the plan, which it takes on success, with nothing started. setting's config and
 * status page are filled in. ERR_IO, ERR_MEMORY, ERR_LIMIT. */
int node_open(struct node *node, const struct plan_source *source, struct plan *plan,
              const struct process_setting *setting, struct error *err);

/* Accepts a node of zeros, one that could not be opened, and one that was closed. */
void node_close(struct node *node);

/* Puts another plan into force, which it takes on success: who it no longer has is stopped; what
 * goes on running is moved to the processors that the plan gives it (replan.h), and not touched
 * otherwise. */
int node_adopt_plan(struct node *node, struct plan *plan, struct error *err);

/* Idle or backoff: starts it. A failure is a death. */
void node_start(struct node *node, struct process *process);

/* Watches a process that another supervisor started, whose descriptors it has. log_fd is its
 * output; -1: none. */
void node_take_over(struct node *node, struct process *process, int log_fd);

/* Drains it for good, or kills it. */
void node_stop(struct process *process, bool hurry);

/* Drains it and starts it again (lifecycle_replace). */
void node_replace(struct process *process, enum death_cause cause);

/* Says what lifecycle's deadline made necessary, and does it. */
void node_tick(struct node *node, struct process *process);

/* Looks at memory, if it was not just done: who has too much is replaced. */
void node_watch_memory(struct node *node);

/* Tells the link's readers how things are. */
void node_write_status(struct node *node);

/* Ends the fleet with this code: the sequence does it. */
void node_end(struct node *node, int exit_code);

/* Reaps children that are not ours by birth. */
void node_reap_strangers(struct node *node);

#endif
