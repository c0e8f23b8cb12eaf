/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_queue: pairs the waiting tasks of one queue with its pollers. A pure data structure: no I/O,
 * no clock, no random source; time is handed in (`now_us`, UTC), and the same calls in the same
 * order give the same matches.
 *
 * One task_queue stands for one (namespace, name, workflow or activity, sticky or not). A task is
 * an opaque number of the caller's. It is waiting, or held by the session it was matched with:
 *
 *     offer ──► waiting ──match──► held ──► remove (completed, failed, released, lost ...)
 *                  └──remove──►  gone  ◄──────┘
 *
 * A task goes only to a poll that registered its type, or that registered none and takes any; tasks
 * whose type nobody registered wait and block no others. Of the tasks that could go, the one of the
 * best priority (1 first, 5 last), then the oldest (time, then rank, then order of the offers)
 * goes. Of the polls that could take it, the one of the session with the least share of its slots
 * in use, then the one that was served longest ago. `limit` bounds the held tasks of the queue over
 * all sessions. A session holds at most one suspect at a time (a task that may be what ends the
 * processes it meets), so that two of them cannot fall together.
 *
 * Cost: tasks lie in one heap per type and priority, so that a match looks at the types that have
 * both tasks and a free poll, and at the polls of the chosen type: O(types + polls of the type +
 * log tasks of the type). Memory: running out of it aborts, as in common/hash.h.
 *
 * Threading: one thread at a time per queue.
 */
#ifndef ARGOSY_QUEUES_TASK_QUEUE_H
#define ARGOSY_QUEUES_TASK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TASK_QUEUE_PRIORITY_BEST    1
#define TASK_QUEUE_PRIORITY_WORST   5
#define TASK_QUEUE_PRIORITY_DEFAULT 3
#define TASK_QUEUE_PRIORITIES       5

/* Rates are means over this many seconds before now. */
#define TASK_QUEUE_RATE_WINDOW_S 30

struct task_queue;

struct task_queue *task_queue_create(void);
void task_queue_destroy(struct task_queue *queue);

struct task_queue_task {
    uint64_t id;
    const char *type; /* copied */
    int priority;     /* 0 is the default; others are clamped to 1..5 */
    int64_t since_us; /* its age: the time it was first scheduled keeps a lost task's place */
    int64_t rank;     /* its place, smallest first, among those of the same time */
    bool is_suspect;
};

/* Adds a waiting task. One that the queue has already must not be offered. */
void task_queue_offer(struct task_queue *queue, const struct task_queue_task *task, int64_t now_us);

/* Takes a task out, waiting or held (which frees its slot). False when the queue does not have it.
 */
bool task_queue_remove(struct task_queue *queue, uint64_t task);

/* Makes session the holder of a task that was not matched here: after a restart, a session reclaims
 * what it works on. A waiting task of that number stops waiting; a held one is held anew, a suspect
 * or not. */
void task_queue_hold(struct task_queue *queue, uint64_t task, bool is_suspect, uint64_t session);

struct task_queue_poll {
    uint64_t session;
    uint64_t correlation_id;
    const char *const *types; /* copied; none: any type */
    size_t type_count;
    int32_t slots; /* tasks the session may hold at once; 0: one match, then the poll is gone */
};

/* Adds a poll. A standing poll (slots > 0) replaces the session's standing poll: true is returned
 * with that one's correlation id, which the caller answers. Tasks held stay held and count. */
bool task_queue_poll(struct task_queue *queue, const struct task_queue_poll *poll, int64_t now_us,
                     uint64_t *ret_replaced);

/* Removes a poll (canceled, timed out). False when there is none. Held tasks stay held. */
bool task_queue_poll_remove(struct task_queue *queue, uint64_t session, uint64_t correlation_id);

/* Changes the slots of a session's standing poll; fewer than are held stop new matches until enough
 * are done. False when there is no such poll. slots > 0. */
bool task_queue_slots_set(struct task_queue *queue, uint64_t session, int32_t slots);

/* Bounds the held tasks of the queue; 0 is no bound. */
void task_queue_limit_set(struct task_queue *queue, int64_t limit);

/* A paused queue makes no match; all else goes on. */
void task_queue_pause_set(struct task_queue *queue, bool is_paused);

struct task_queue_match {
    uint64_t task;
    uint64_t session;
    uint64_t correlation_id;
    bool standing; /* the poll stays */
};

/* The next pair; the task is held then. False when no task can go. Call until false after anything
 * that may have made a match possible. */
bool task_queue_match(struct task_queue *queue, int64_t now_us, struct task_queue_match *ret_match);

/* Ends a session: its polls are removed; the tasks it held leave the queue, each told to on_task in
 * the order they were matched. The caller offers them again or not; on_task must not touch the
 * queue. Returns how many there were. */
size_t task_queue_session_remove(struct task_queue *queue, uint64_t session,
                                 void (*on_task)(void *context, uint64_t task), void *context);

/* Ends a session whose process said Hello again: its held tasks become the successor's, its polls
 * are removed. */
void task_queue_session_replace(struct task_queue *queue, uint64_t session, uint64_t successor);

struct task_queue_stats {
    uint64_t backlog;                                    /* waiting */
    uint64_t backlog_by_priority[TASK_QUEUE_PRIORITIES]; /* [0] is priority 1 */
    int64_t oldest_us;  /* since_us of the oldest waiting task; INT64_MAX: none */
    uint64_t in_flight; /* held */
    uint64_t offered_total;
    uint64_t matched_total;
    double offer_rate; /* per second, over TASK_QUEUE_RATE_WINDOW_S */
    double match_rate;
    size_t polls;
    uint64_t slots;      /* of the standing polls */
    uint64_t slots_used; /* of them, by tasks that their sessions hold */
    int64_t limit;
    bool is_paused;
};

void task_queue_stats_get(const struct task_queue *queue, int64_t now_us,
                          struct task_queue_stats *ret_stats);

struct task_queue_poll_info {
    uint64_t session;
    uint64_t correlation_id;
    int32_t slots; /* 0: one-shot */
    int32_t held;  /* tasks the session holds */
    const char *const *types;
    size_t type_count;
    int64_t polled_us; /* last poll or match */
};

/* Calls on_poll for every poll, oldest first. The info is borrowed for the call. */
void task_queue_each_poll(const struct task_queue *queue,
                          void (*on_poll)(void *context, const struct task_queue_poll_info *info),
                          void *context);

struct task_queue_session_info {
    size_t polls;
    size_t held;
};

/* What a session polls and holds here; zeros for one that is not known. */
void task_queue_session_get(const struct task_queue *queue, uint64_t session,
                            struct task_queue_session_info *ret_info);

/* Calls on_poll for each of its polls, then on_task for each task it holds, in the order of the
 * matches. */
void task_queue_session_each(const struct task_queue *queue, uint64_t session,
                             void (*on_poll)(void *context,
                                             const struct task_queue_poll_info *info),
                             void (*on_task)(void *context, uint64_t task), void *context);

/* True when the queue has no task, no poll, no limit and no pause: it may be destroyed. */
bool task_queue_is_idle(const struct task_queue *queue);

#endif
