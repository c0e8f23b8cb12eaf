/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_queue: see task_queue.h.
 *
 * How it hangs together: a task lies in the heap of its type, lane and priority while it waits, and
 * in its session's list while it is held. Suspects have a lane of their own, because a poll can be
 * free for the others and not for them. A poll is linked to each type it registered (or to the type
 * `any`) by a registration; each type counts its polls that are free, lane by lane, so that a match
 * need not ask polls whether there is one. A session exists while it holds tasks or has polls; a
 * type while it has waiting tasks or registrations.
 */
#include "queues/task_queue.h"

#include <string.h>

#include "common/assert.h"
#include "common/hash.h"
#include "queues/min_heap.h"

enum lane { LANE_COMMON, LANE_SUSPECT, LANE_COUNT };

struct task {
    struct heap_node age; /* first: the heap's view of the task; key is since_us */
    uint64_t id;
    int priority; /* index from 0 */
    enum lane lane;
    /* links: one of the two */
    struct type *type;        /* waiting */
    struct session *session;  /* held */
    struct task *prev, *next; /* held: in the session's list */
    UT_hash_handle hh;
};

struct type {
    char *name; /* NULL: `any` */
    struct min_heap waiting[LANE_COUNT][TASK_QUEUE_PRIORITIES];
    size_t waiting_count[LANE_COUNT];
    struct registration *registrations;
    size_t free_polls[LANE_COUNT];
    struct type *prev, *next; /* in the queue's types with waiting tasks */
    UT_hash_handle hh;
};

struct registration {
    struct type *type;
    struct poll *poll;
    struct registration *prev, *next; /* in the type's list */
};

struct poll {
    struct session *session;
    uint64_t correlation_id;
    int32_t slots;            /* 0: one-shot */
    bool is_free[LANE_COUNT]; /* counted in its types' free_polls */
    uint64_t served;          /* turn of the last match; 0: none */
    int64_t polled_us;
    size_t type_count;
    const char **types; /* borrowed from the registrations' types */
    size_t registration_count;
    struct registration *registrations;
    struct poll *prev, *next; /* in the queue's list */
};

struct session {
    uint64_t id;
    struct task *held; /* in the order of the matches */
    size_t held_count;
    size_t suspect_count; /* of them */
    struct poll *standing;
    size_t poll_count;
    UT_hash_handle hh;
};

/* Events per second over a window: one counter per second, reused in a ring. */
struct rate {
    int64_t seconds[TASK_QUEUE_RATE_WINDOW_S];
    uint64_t counts[TASK_QUEUE_RATE_WINDOW_S];
};

struct task_queue {
    int64_t limit;
    bool is_paused;
    struct task *tasks;
    struct type *types;         /* by name */
    struct type *waiting_types; /* those with waiting tasks */
    struct type any;            /* the registrations of polls that take any type */
    struct session *sessions;
    struct poll *polls;
    size_t poll_count;
    size_t held_count;
    size_t waiting_count[TASK_QUEUE_PRIORITIES];
    uint64_t sequence; /* offers so far */
    uint64_t turn;     /* matches so far */
    struct rate offers;
    struct rate matches;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* --- rates --- */

static void rate_add(struct rate *rate, int64_t now_us)
{
    int64_t second = now_us / 1000000;
    size_t slot = (uint64_t)second % TASK_QUEUE_RATE_WINDOW_S;
    if (rate->seconds[slot] != second) {
        rate->seconds[slot] = second;
        rate->counts[slot] = 0;
    }
    rate->counts[slot]++;
}

static double rate_get(const struct rate *rate, int64_t now_us)
{
    int64_t second = now_us / 1000000;
    uint64_t sum = 0;
    for (size_t i = 0; i < TASK_QUEUE_RATE_WINDOW_S; i++) {
        if (rate->seconds[i] > second - TASK_QUEUE_RATE_WINDOW_S && rate->seconds[i] <= second)
            sum += rate->counts[i];
    }
    return (double)sum / TASK_QUEUE_RATE_WINDOW_S;
}

/* --- types --- */

static struct type *type_get(struct task_queue *queue, const char *name)
{
    struct type *type;
    HASH_FIND_STR(queue->types, name, type);
    if (type != NULL)
        return type;
    type = allocate(1, sizeof *type);
    type->name = allocate(strlen(name) + 1, 1);
    strcpy(type->name, name);
    HASH_ADD_KEYPTR(hh, queue->types, type->name, strlen(type->name), type);
    return type;
}

static void type_free(struct type *type)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (int i = 0; i < TASK_QUEUE_PRIORITIES; i++)
            min_heap_fini(&type->waiting[lane][i]);
    }
    free(type->name);
    free(type);
}

static bool type_has_waiting(const struct type *type)
{
    return type->waiting_count[LANE_COMMON] > 0 || type->waiting_count[LANE_SUSPECT] > 0;
}

static void type_release(struct task_queue *queue, struct type *type)
{
    if (type == &queue->any || type_has_waiting(type) || type->registrations != NULL)
        return;
    HASH_DEL(queue->types, type);
    type_free(type);
}

/* The best waiting task of a type's lane that has one: best priority, then oldest. */
static struct task *type_first(const struct type *type, enum lane lane)
{
    for (int i = 0; i < TASK_QUEUE_PRIORITIES; i++) {
        struct heap_node *age = min_heap_first(&type->waiting[lane][i]);
        if (age != NULL)
            return (struct task *)age;
    }
    UNREACHABLE();
}

/* --- sessions --- */

static struct session *session_find(const struct task_queue *queue, uint64_t id)
{
    struct session *session;
    HASH_FIND(hh, queue->sessions, &id, sizeof id, session);
    return session;
}

static struct session *session_get(struct task_queue *queue, uint64_t id)
{
    struct session *session = session_find(queue, id);
    if (session == NULL) {
        session = allocate(1, sizeof *session);
        session->id = id;
        HASH_ADD(hh, queue->sessions, id, sizeof session->id, session);
    }
    return session;
}

static void session_release(struct task_queue *queue, struct session *session)
{
    if (session->held_count > 0 || session->poll_count > 0)
        return;
    HASH_DEL(queue->sessions, session);
    free(session);
}

/* --- polls --- */

static void poll_set_free(struct poll *poll, enum lane lane, bool is_free)
{
    if (is_free == poll->is_free[lane])
        return;
    poll->is_free[lane] = is_free;
    for (size_t i = 0; i < poll->registration_count; i++) {
        size_t *free_polls = &poll->registrations[i].type->free_polls[lane];
        *free_polls = is_free ? *free_polls + 1 : *free_polls - 1;
    }
}

/* Brings a poll's freedom up to date after its slots or its session's held tasks changed. */
static void poll_refresh(struct poll *poll)
{
    const struct session *session = poll->session;
    bool is_free = poll->slots == 0 || session->held_count < (size_t)poll->slots;
    poll_set_free(poll, LANE_COMMON, is_free);
    poll_set_free(poll, LANE_SUSPECT, is_free && session->suspect_count == 0);
}

static void poll_remove(struct task_queue *queue, struct poll *poll)
{
    struct session *session = poll->session;
    for (size_t i = 0; i < poll->registration_count; i++) {
        struct registration *registration = &poll->registrations[i];
        DL_DELETE(registration->type->registrations, registration);
        for (int lane = 0; lane < LANE_COUNT; lane++)
            registration->type->free_polls[lane] -= poll->is_free[lane];
        type_release(queue, registration->type);
    }
    DL_DELETE(queue->polls, poll);
    queue->poll_count--;
    session->poll_count--;
    if (session->standing == poll)
        session->standing = NULL;
    free(poll->registrations);
    free(poll->types);
    free(poll);
}

static void poll_register(struct poll *poll, struct type *type)
{
    struct registration *registration = &poll->registrations[poll->registration_count++];
    *registration = (struct registration){.type = type, .poll = poll};
    DL_APPEND(type->registrations, registration);
}

static void poll_register_types(struct task_queue *queue, struct poll *poll,
                                const struct task_queue_poll *request)
{
    size_t count = request->type_count;
    poll->registrations = allocate(count > 0 ? count : 1, sizeof *poll->registrations);
    poll->types = allocate(count, sizeof *poll->types);
    if (count == 0)
        poll_register(poll, &queue->any);
    for (size_t i = 0; i < count; i++) {
        struct type *type = type_get(queue, request->types[i]);
        /* A registration goes to the end of its type's list: a type named twice is seen there. */
        if (type->registrations != NULL && type->registrations->prev->poll == poll)
            continue;
        poll_register(poll, type);
        poll->types[poll->type_count++] = type->name;
    }
}

/* Share of its slots that a poll's session uses, compared without division; a one-shot poll uses
 * none. */
static int poll_compare_load(const struct poll *a, const struct poll *b)
{
    uint64_t a_held = a->slots > 0 ? a->session->held_count : 0;
    uint64_t b_held = b->slots > 0 ? b->session->held_count : 0;
    uint64_t left = a_held * (uint64_t)(b->slots > 0 ? b->slots : 1);
    uint64_t right = b_held * (uint64_t)(a->slots > 0 ? a->slots : 1);
    return left < right ? -1 : left > right;
}

static bool poll_goes_before(const struct poll *a, const struct poll *b)
{
    int order = poll_compare_load(a, b);
    return order != 0 ? order < 0 : a->served < b->served;
}

static struct poll *type_best_poll(const struct type *type, enum lane lane, struct poll *best)
{
    struct registration *registration;
    DL_FOREACH (type->registrations, registration) {
        struct poll *poll = registration->poll;
        if (poll->is_free[lane] && (best == NULL || poll_goes_before(poll, best)))
            best = poll;
    }
    return best;
}

/* --- tasks --- */

static struct task *task_find(const struct task_queue *queue, uint64_t id)
{
    struct task *task;
    HASH_FIND(hh, queue->tasks, &id, sizeof id, task);
    return task;
}

static struct task *task_create(struct task_queue *queue, uint64_t id)
{
    struct task *task = allocate(1, sizeof *task);
    task->id = id;
    HASH_ADD(hh, queue->tasks, id, sizeof task->id, task);
    return task;
}

static void task_free(struct task_queue *queue, struct task *task)
{
    HASH_DEL(queue->tasks, task);
    free(task);
}

static void task_wait(struct task_queue *queue, struct task *task, struct type *type)
{
    task->type = type;
    min_heap_add(&type->waiting[task->lane][task->priority], &task->age);
    if (!type_has_waiting(type))
        DL_APPEND(queue->waiting_types, type);
    type->waiting_count[task->lane]++;
    queue->waiting_count[task->priority]++;
}

static void task_stop_waiting(struct task_queue *queue, struct task *task)
{
    struct type *type = task->type;
    min_heap_remove(&type->waiting[task->lane][task->priority], &task->age);
    type->waiting_count[task->lane]--;
    if (!type_has_waiting(type))
        DL_DELETE(queue->waiting_types, type);
    queue->waiting_count[task->priority]--;
    task->type = NULL;
    type_release(queue, type);
}

/* A session's one-shot polls are free whatever it holds, but for suspects. */
static void session_suspects_changed(struct task_queue *queue, struct session *session)
{
    struct poll *poll;
    DL_FOREACH (queue->polls, poll) {
        if (poll->session == session)
            poll_refresh(poll);
    }
}

static void session_held_changed(struct task_queue *queue, struct session *session, enum lane lane)
{
    if (lane == LANE_SUSPECT)
        session_suspects_changed(queue, session);
    else if (session->standing != NULL)
        poll_refresh(session->standing);
}

static void task_hold(struct task_queue *queue, struct task *task, struct session *session)
{
    task->session = session;
    DL_APPEND(session->held, task);
    session->held_count++;
    session->suspect_count += task->lane == LANE_SUSPECT;
    queue->held_count++;
    session_held_changed(queue, session, task->lane);
}

static void task_unhold(struct task_queue *queue, struct task *task)
{
    struct session *session = task->session;
    DL_DELETE(session->held, task);
    session->held_count--;
    session->suspect_count -= task->lane == LANE_SUSPECT;
    queue->held_count--;
    task->session = NULL;
    session_held_changed(queue, session, task->lane);
    session_release(queue, session);
}

/* --- interface --- */

struct task_queue *task_queue_create(void)
{
    return allocate(1, sizeof(struct task_queue));
}

void task_queue_destroy(struct task_queue *queue)
{
    if (queue == NULL)
        return;
    struct task *task, *next_task;
    HASH_ITER (hh, queue->tasks, task, next_task) {
        HASH_DEL(queue->tasks, task);
        free(task);
    }
    struct poll *poll, *next_poll;
    DL_FOREACH_SAFE (queue->polls, poll, next_poll) {
        free(poll->registrations);
        free(poll->types);
        free(poll);
    }
    struct session *session, *next_session;
    HASH_ITER (hh, queue->sessions, session, next_session) {
        HASH_DEL(queue->sessions, session);
        free(session);
    }
    struct type *type, *next_type;
    HASH_ITER (hh, queue->types, type, next_type) {
        HASH_DEL(queue->types, type);
        type_free(type);
    }
    free(queue);
}

static int priority_index(int priority)
{
    if (priority == 0)
        priority = TASK_QUEUE_PRIORITY_DEFAULT;
    if (priority < TASK_QUEUE_PRIORITY_BEST)
        priority = TASK_QUEUE_PRIORITY_BEST;
    if (priority > TASK_QUEUE_PRIORITY_WORST)
        priority = TASK_QUEUE_PRIORITY_WORST;
    return priority - TASK_QUEUE_PRIORITY_BEST;
}

void task_queue_offer(struct task_queue *queue, const struct task_queue_task *offer, int64_t now_us)
{
    ASSERT(task_find(queue, offer->id) == NULL);
    struct task *task = task_create(queue, offer->id);
    task->priority = priority_index(offer->priority);
    task->lane = offer->is_suspect ? LANE_SUSPECT : LANE_COMMON;
    task->age = (struct heap_node){
        .key = offer->since_us, .rank = offer->rank, .sequence = ++queue->sequence};
    task_wait(queue, task, type_get(queue, offer->type));
    rate_add(&queue->offers, now_us);
}

bool task_queue_remove(struct task_queue *queue, uint64_t id)
{
    struct task *task = task_find(queue, id);
    if (task == NULL)
        return false;
    if (task->session != NULL)
        task_unhold(queue, task);
    else
        task_stop_waiting(queue, task);
    task_free(queue, task);
    return true;
}

void task_queue_hold(struct task_queue *queue, uint64_t id, bool is_suspect, uint64_t session)
{
    struct task *task = task_find(queue, id);
    if (task == NULL)
        task = task_create(queue, id);
    else if (task->session != NULL)
        task_unhold(queue, task);
    else
        task_stop_waiting(queue, task);
    task->lane = is_suspect ? LANE_SUSPECT : LANE_COMMON;
    task_hold(queue, task, session_get(queue, session));
}

bool task_queue_poll(struct task_queue *queue, const struct task_queue_poll *request,
                     int64_t now_us, uint64_t *ret_replaced)
{
    ASSERT(request->slots >= 0);
    struct session *session = session_get(queue, request->session);
    struct poll *poll = allocate(1, sizeof *poll);
    poll->session = session;
    poll->correlation_id = request->correlation_id;
    poll->slots = request->slots;
    poll->polled_us = now_us;
    poll_register_types(queue, poll, request);
    DL_APPEND(queue->polls, poll);
    queue->poll_count++;
    session->poll_count++;
    struct poll *replaced = NULL;
    if (poll->slots > 0) {
        replaced = session->standing;
        session->standing = poll;
    }
    poll_refresh(poll);
    if (replaced == NULL)
        return false;
    poll->served = replaced->served;
    *ret_replaced = replaced->correlation_id;
    poll_remove(queue, replaced);
    return true;
}

bool task_queue_poll_remove(struct task_queue *queue, uint64_t session_id, uint64_t correlation_id)
{
    struct session *session = session_find(queue, session_id);
    if (session == NULL)
        return false;
    struct poll *poll;
    DL_FOREACH (queue->polls, poll) {
        if (poll->session == session && poll->correlation_id == correlation_id) {
            poll_remove(queue, poll);
            session_release(queue, session);
            return true;
        }
    }
    return false;
}

bool task_queue_slots_set(struct task_queue *queue, uint64_t session_id, int32_t slots)
{
    ASSERT(slots > 0);
    struct session *session = session_find(queue, session_id);
    if (session == NULL || session->standing == NULL)
        return false;
    session->standing->slots = slots;
    poll_refresh(session->standing);
    return true;
}

void task_queue_limit_set(struct task_queue *queue, int64_t limit)
{
    ASSERT(limit >= 0);
    queue->limit = limit;
}

void task_queue_pause_set(struct task_queue *queue, bool is_paused)
{
    queue->is_paused = is_paused;
}

static bool task_goes_before(const struct task *a, const struct task *b)
{
    return a->priority < b->priority ||
           (a->priority == b->priority && heap_node_is_before(&a->age, &b->age));
}

/* The best task that some free poll would take, or NULL. */
static struct task *find_task(const struct task_queue *queue)
{
    struct task *best = NULL;
    struct type *type;
    DL_FOREACH (queue->waiting_types, type) {
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            if (type->waiting_count[lane] == 0 ||
                (type->free_polls[lane] == 0 && queue->any.free_polls[lane] == 0))
                continue;
            struct task *task = type_first(type, lane);
            if (best == NULL || task_goes_before(task, best))
                best = task;
        }
    }
    return best;
}

bool task_queue_match(struct task_queue *queue, int64_t now_us, struct task_queue_match *ret_match)
{
    if (queue->is_paused || (queue->limit > 0 && queue->held_count >= (size_t)queue->limit))
        return false;
    struct task *task = find_task(queue);
    if (task == NULL)
        return false;
    struct poll *poll =
        type_best_poll(&queue->any, task->lane, type_best_poll(task->type, task->lane, NULL));
    ASSERT(poll != NULL);
    *ret_match = (struct task_queue_match){.task = task->id,
                                           .session = poll->session->id,
                                           .correlation_id = poll->correlation_id,
                                           .standing = poll->slots > 0};
    poll->served = ++queue->turn;
    poll->polled_us = now_us;
    task_stop_waiting(queue, task);
    task_hold(queue, task, poll->session);
    if (poll->slots == 0)
        poll_remove(queue, poll);
    rate_add(&queue->matches, now_us);
    return true;
}

static void remove_polls(struct task_queue *queue, struct session *session)
{
    struct poll *poll, *next;
    DL_FOREACH_SAFE (queue->polls, poll, next) {
        if (poll->session == session)
            poll_remove(queue, poll);
    }
}

size_t task_queue_session_remove(struct task_queue *queue, uint64_t session_id,
                                 void (*on_task)(void *context, uint64_t task), void *context)
{
    struct session *session = session_find(queue, session_id);
    if (session == NULL)
        return 0;
    remove_polls(queue, session);
    size_t count = session->held_count;
    struct task *task, *next;
    DL_FOREACH_SAFE (session->held, task, next) {
        on_task(context, task->id);
        task_free(queue, task);
    }
    queue->held_count -= count;
    session->held_count = 0;
    session->suspect_count = 0;
    session_release(queue, session);
    return count;
}

void task_queue_session_replace(struct task_queue *queue, uint64_t session_id,
                                uint64_t successor_id)
{
    struct session *session = session_find(queue, session_id);
    if (session == NULL)
        return;
    remove_polls(queue, session);
    if (session->held_count > 0) {
        struct session *successor = session_get(queue, successor_id);
        struct task *task;
        DL_FOREACH (session->held, task)
            task->session = successor;
        DL_CONCAT(successor->held, session->held);
        successor->held_count += session->held_count;
        successor->suspect_count += session->suspect_count;
        session->held_count = 0;
        session->suspect_count = 0;
        session_suspects_changed(queue, successor);
    }
    session_release(queue, session);
}

static int64_t heap_oldest(const struct min_heap *heap, int64_t oldest)
{
    const struct heap_node *age = min_heap_first(heap);
    return age != NULL && age->key < oldest ? age->key : oldest;
}

static int64_t oldest_us(const struct task_queue *queue)
{
    int64_t oldest = INT64_MAX;
    struct type *type;
    DL_FOREACH (queue->waiting_types, type) {
        for (int i = 0; i < TASK_QUEUE_PRIORITIES; i++) {
            oldest = heap_oldest(&type->waiting[LANE_COMMON][i], oldest);
            oldest = heap_oldest(&type->waiting[LANE_SUSPECT][i], oldest);
        }
    }
    return oldest;
}

void task_queue_stats_get(const struct task_queue *queue, int64_t now_us,
                          struct task_queue_stats *ret_stats)
{
    *ret_stats = (struct task_queue_stats){
        .oldest_us = oldest_us(queue),
        .in_flight = queue->held_count,
        .offered_total = queue->sequence,
        .matched_total = queue->turn,
        .offer_rate = rate_get(&queue->offers, now_us),
        .match_rate = rate_get(&queue->matches, now_us),
        .polls = queue->poll_count,
        .limit = queue->limit,
        .is_paused = queue->is_paused,
    };
    for (int i = 0; i < TASK_QUEUE_PRIORITIES; i++) {
        ret_stats->backlog_by_priority[i] = queue->waiting_count[i];
        ret_stats->backlog += queue->waiting_count[i];
    }
    const struct poll *poll;
    DL_FOREACH (queue->polls, poll) {
        ret_stats->slots += (uint64_t)poll->slots;
        ret_stats->slots_used += poll->slots > 0 ? poll->session->held_count : 0;
    }
}

static void tell_poll(const struct poll *poll,
                      void (*on_poll)(void *context, const struct task_queue_poll_info *info),
                      void *context)
{
    struct task_queue_poll_info info = {
        .session = poll->session->id,
        .correlation_id = poll->correlation_id,
        .slots = poll->slots,
        .held = (int32_t)poll->session->held_count,
        .types = poll->types,
        .type_count = poll->type_count,
        .polled_us = poll->polled_us,
    };
    on_poll(context, &info);
}

void task_queue_each_poll(const struct task_queue *queue,
                          void (*on_poll)(void *context, const struct task_queue_poll_info *info),
                          void *context)
{
    const struct poll *poll;
    DL_FOREACH (queue->polls, poll)
        tell_poll(poll, on_poll, context);
}

void task_queue_session_get(const struct task_queue *queue, uint64_t session_id,
                            struct task_queue_session_info *ret_info)
{
    const struct session *session = session_find(queue, session_id);
    *ret_info = (struct task_queue_session_info){0};
    if (session == NULL)
        return;
    ret_info->polls = session->poll_count;
    ret_info->held = session->held_count;
}

void task_queue_session_each(const struct task_queue *queue, uint64_t session_id,
                             void (*on_poll)(void *context,
                                             const struct task_queue_poll_info *info),
                             void (*on_task)(void *context, uint64_t task), void *context)
{
    const struct session *session = session_find(queue, session_id);
    if (session == NULL)
        return;
    const struct poll *poll;
    DL_FOREACH (queue->polls, poll) {
        if (poll->session == session)
            tell_poll(poll, on_poll, context);
    }
    const struct task *task;
    DL_FOREACH (session->held, task)
        on_task(context, task->id);
}

bool task_queue_is_idle(const struct task_queue *queue)
{
    return queue->tasks == NULL && queue->polls == NULL && queue->limit == 0 && !queue->is_paused;
}
