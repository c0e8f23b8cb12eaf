/* SPDX-License-Identifier: Apache-2.0 */
/* sequence: see sequence.h. */
#include "supervisor/sequence.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/exit_code.h"
#include "common/log.h"
#include "supervisor/rollout.h"

/* Pointless */

/* The exit code of whoever made going on pointless; -1 when there is a point. */
static int find_failure(const struct node *node)
{
    size_t workers = 0;
    size_t failed_workers = 0;
    int worker_code = EXIT_INTERNAL;
    for (size_t i = 0; i < node->roster.count; i++) {
        const struct process *process = node->roster.processes[i];
        workers += process->rank == PROCESS_RANK_WORKER;
        if (process->lifecycle.state != LIFECYCLE_FAILED)
            continue;
        int code = WEXITSTATUS(death_history_last(&process->lifecycle.deaths)->status);
        if (process->rank == PROCESS_RANK_ENGINE)
            return code;
        if (process->rank == PROCESS_RANK_WORKER) {
            failed_workers++;
            worker_code = code;
        }
    }
    return workers > 0 && failed_workers == workers ? worker_code : -1;
}

/* Up */

static bool is_settled(const struct node *node, const struct process *process)
{
    enum lifecycle_state state = process->lifecycle.state;
    if (process->lifecycle.was_ready || state == LIFECYCLE_FAILED || process->is_drained ||
        process->is_retired || gpu_guard_holds(node, process))
        return true;
    /* Workers need none but the engine to start. */
    return process->rank != PROCESS_RANK_ENGINE && process->rank != PROCESS_RANK_WORKER &&
           state == LIFECYCLE_BACKOFF;
}

/* Failed, and the fleet is less without it. */
static bool is_missed(const struct process *process)
{
    return process->lifecycle.state == LIFECYCLE_FAILED && process->rank != PROCESS_RANK_GPU_HEALTH;
}

static void announce(struct node *node)
{
    size_t count = node->roster.count;
    size_t failed = 0;
    for (size_t i = 0; i < count; i++)
        failed += is_missed(node->roster.processes[i]);
    node->is_announced = true;
    node_write_status(node); /* who reads the line finds it in the status */
    log_info("fleet.ready", "node=%s processes=%zu failed=%zu", node->plan.config->node, count,
             failed);
    if (node->plan.config->log_format == LOG_FORMAT_JSON)
        return; /* the record above is for machines; what follows is for people */
    char text[96] = "fleet ready\n";
    if (failed > 0)
        snprintf(text, sizeof text, "fleet ready without %zu of its %zu processes\n", failed,
                 count);
    log_say(text);
}

static void bring_up(struct node *node, struct process *process)
{
    if (process->is_drained || process->is_retired || gpu_guard_holds(node, process))
        return;
    if (process->lifecycle.state == LIFECYCLE_STOPPED)
        lifecycle_again(&process->lifecycle);
    if (process->lifecycle.state == LIFECYCLE_IDLE)
        node_start(node, process);
}

static void go_up(struct node *node)
{
    for (int rank = 0; rank < PROCESS_RANK_COUNT; rank++) {
        bool is_complete = true;
        for (size_t i = 0; i < node->roster.count; i++) {
            struct process *process = node->roster.processes[i];
            if ((int)process->rank != rank)
                continue;
            bring_up(node, process);
            is_complete = is_complete && is_settled(node, process);
        }
        if (!is_complete)
            return;
    }
    if (!node->is_announced)
        announce(node);
}

/* Restarts the next ones that their groups can spare; the node's own need not wait for anybody. */
static void roll(struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (process->is_stale && rollout_may_go(&node->roster, process, now_ns))
            node_replace(process, DEATH_CAUSE_RESTART);
    }
}

/* Down */

/* Stops what may be stopped: a rank when all after it have. True when nothing is left. */
static bool go_down(struct node *node)
{
    for (int rank = PROCESS_RANK_COUNT - 1; rank >= 0; rank--) {
        bool is_complete = true;
        for (size_t i = 0; i < node->roster.count; i++) {
            struct process *process = node->roster.processes[i];
            if ((int)process->rank != rank)
                continue;
            node_stop(process, node->is_hurried);
            is_complete = is_complete && process->lifecycle.state == LIFECYCLE_STOPPED;
        }
        if (!is_complete)
            return false;
    }
    return true;
}

bool sequence_advance(struct node *node)
{
    int failure = node->is_stopping ? -1 : find_failure(node);
    if (failure >= 0) {
        log_error("fleet.failed", "exit=%d", failure);
        node_end(node, failure);
    }
    if (node->is_stopping)
        return go_down(node);
    roster_sweep(&node->roster);
    roll(node);
    go_up(node);
    return false;
}
