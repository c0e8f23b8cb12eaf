/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_task_queue: the promises of queues/task_queue.h; at the end a random run against a model
 * that looks at everything, with the same rules written the slow way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "queues/task_queue.h"

#define SECOND INT64_C(1000000)

static int setup(void **state)
{
    *state = task_queue_create();
    return 0;
}

static int teardown(void **state)
{
    task_queue_destroy(*state);
    return 0;
}

static void offer(struct task_queue *queue, uint64_t task, const char *type)
{
    task_queue_offer(queue,
                     &(struct task_queue_task){.id = task, .type = type, .since_us = (int64_t)task},
                     (int64_t)task);
}

static void offer_at(struct task_queue *queue, uint64_t task, const char *type, int priority,
                     int64_t since_us, int64_t now_us)
{
    task_queue_offer(queue,
                     &(struct task_queue_task){
                         .id = task, .type = type, .priority = priority, .since_us = since_us},
                     now_us);
}

static void offer_suspect(struct task_queue *queue, uint64_t task)
{
    task_queue_offer(queue,
                     &(struct task_queue_task){
                         .id = task, .type = "a", .since_us = (int64_t)task, .is_suspect = true},
                     0);
}

/* Types are given as up to two names. */
static bool poll_types(struct task_queue *queue, uint64_t session, uint64_t correlation_id,
                       int32_t slots, const char *first, const char *second, uint64_t *ret_replaced)
{
    const char *types[] = {first, second};
    struct task_queue_poll poll = {.session = session,
                                   .correlation_id = correlation_id,
                                   .types = types,
                                   .type_count = (first != NULL) + (second != NULL),
                                   .slots = slots};
    return task_queue_poll(queue, &poll, 0, ret_replaced);
}

static void poll(struct task_queue *queue, uint64_t session, int32_t slots, const char *type)
{
    uint64_t replaced;
    poll_types(queue, session, session * 100, slots, type, NULL, &replaced);
}

static void expect_match(struct task_queue *queue, uint64_t task, uint64_t session)
{
    struct task_queue_match match;
    assert_true(task_queue_match(queue, 0, &match));
    assert_int_equal(match.task, task);
    assert_int_equal(match.session, session);
}

static void expect_no_match(struct task_queue *queue)
{
    struct task_queue_match match = {.task = 77};
    assert_false(task_queue_match(queue, 0, &match));
    assert_int_equal(match.task, 77);
}

static struct task_queue_stats stats_of(const struct task_queue *queue)
{
    struct task_queue_stats stats;
    task_queue_stats_get(queue, 0, &stats);
    return stats;
}

static void test_only_registered_types(void **state)
{
    struct task_queue *queue = *state;
    offer(queue, 1, "unknown");
    offer(queue, 2, "embed");
    offer(queue, 3, "infer");
    poll(queue, 10, 4, "infer");
    expect_match(queue, 3, 10);
    expect_no_match(queue);
    poll(queue, 11, 4, "embed");
    expect_match(queue, 2, 11);
    expect_no_match(queue);
    assert_int_equal(stats_of(queue).backlog, 1);
    poll(queue, 12, 4, NULL);
    expect_match(queue, 1, 12);
}

static void test_priority_then_age(void **state)
{
    struct task_queue *queue = *state;
    offer_at(queue, 1, "a", 0, 100, 100);
    offer_at(queue, 2, "b", 3, 90, 100);  /* older */
    offer_at(queue, 3, "a", 3, 100, 100); /* as old as 1, offered later */
    offer_at(queue, 4, "b", 1, 200, 200);
    offer_at(queue, 5, "a", 99, 1, 200);   /* clamped to 5 */
    offer_at(queue, 6, "a", -7, 300, 300); /* clamped to 1 */
    poll(queue, 1, 100, NULL);
    static const uint64_t expected[] = {4, 6, 2, 1, 3, 5};
    for (size_t i = 0; i < 6; i++)
        expect_match(queue, expected[i], 1);
    expect_no_match(queue);
}

static void test_slots_bound_a_session(void **state)
{
    struct task_queue *queue = *state;
    for (uint64_t task = 1; task <= 5; task++)
        offer(queue, task, "a");
    poll(queue, 1, 2, "a");
    expect_match(queue, 1, 1);
    expect_match(queue, 2, 1);
    expect_no_match(queue);
    assert_true(task_queue_remove(queue, 1));
    expect_match(queue, 3, 1);
    expect_no_match(queue);
    assert_true(task_queue_slots_set(queue, 1, 3));
    expect_match(queue, 4, 1);
    assert_true(task_queue_slots_set(queue, 1, 1));
    assert_true(task_queue_remove(queue, 2));
    assert_true(task_queue_remove(queue, 3));
    expect_no_match(queue);
    assert_true(task_queue_remove(queue, 4));
    expect_match(queue, 5, 1);
    assert_false(task_queue_slots_set(queue, 2, 1));
    assert_false(task_queue_remove(queue, 4));
}

static void test_one_shot_polls(void **state)
{
    struct task_queue *queue = *state;
    uint64_t replaced = 0;
    assert_false(poll_types(queue, 1, 7, 0, "a", NULL, &replaced));
    assert_false(poll_types(queue, 1, 8, 0, "a", NULL, &replaced));
    offer(queue, 1, "a");
    offer(queue, 2, "a");
    offer(queue, 3, "a");
    struct task_queue_match match;
    assert_true(task_queue_match(queue, 0, &match));
    assert_int_equal(match.correlation_id, 7);
    assert_false(match.standing);
    assert_true(task_queue_match(queue, 0, &match));
    assert_int_equal(match.correlation_id, 8);
    expect_no_match(queue);
    assert_false(task_queue_poll_remove(queue, 1, 7));
    assert_false(poll_types(queue, 1, 9, 0, "b", NULL, &replaced));
    assert_true(task_queue_poll_remove(queue, 1, 9));
    assert_int_equal(stats_of(queue).polls, 0);
    assert_int_equal(stats_of(queue).in_flight, 2);
}

static void test_standing_poll_replaced(void **state)
{
    struct task_queue *queue = *state;
    uint64_t replaced = 0;
    offer(queue, 1, "a");
    offer(queue, 2, "a");
    offer(queue, 3, "b");
    assert_false(poll_types(queue, 1, 7, 1, "a", NULL, &replaced));
    expect_match(queue, 1, 1);
    assert_true(poll_types(queue, 1, 8, 2, "b", "b", &replaced));
    assert_int_equal(replaced, 7);
    struct task_queue_match match;
    assert_true(task_queue_match(queue, 0, &match));
    assert_int_equal(match.task, 3);
    assert_int_equal(match.correlation_id, 8);
    assert_true(match.standing);
    expect_no_match(queue);
    assert_int_equal(stats_of(queue).polls, 1);
}

static void test_least_loaded_then_longest_waiting(void **state)
{
    struct task_queue *queue = *state;
    for (uint64_t task = 1; task <= 12; task++)
        offer(queue, task, "a");
    poll(queue, 1, 2, "a");
    poll(queue, 2, 4, NULL);
    poll(queue, 3, 2, "a");
    /* load before each: 0/2 0/4 0/2 | 1/2 0/4 0/2 -> ties go to who was served longest ago */
    static const uint64_t expected[] = {1, 3, 2, 2, 1, 3, 2, 2};
    for (size_t i = 0; i < 8; i++) {
        struct task_queue_match match;
        assert_true(task_queue_match(queue, 0, &match));
        if (match.session != expected[i])
            fail_msg("match %zu went to %d, expected %d", i, (int)match.session, (int)expected[i]);
    }
    expect_no_match(queue);
}

static void test_queue_limit(void **state)
{
    struct task_queue *queue = *state;
    for (uint64_t task = 1; task <= 4; task++)
        offer(queue, task, "a");
    poll(queue, 1, 8, "a");
    task_queue_limit_set(queue, 2);
    expect_match(queue, 1, 1);
    expect_match(queue, 2, 1);
    expect_no_match(queue);
    task_queue_limit_set(queue, 3);
    expect_match(queue, 3, 1);
    expect_no_match(queue);
    task_queue_limit_set(queue, 0);
    expect_match(queue, 4, 1);
}

struct collected {
    uint64_t tasks[16];
    size_t count;
};

static void collect(void *context, uint64_t task)
{
    struct collected *collected = context;
    collected->tasks[collected->count++] = task;
}

static void test_session_lost(void **state)
{
    struct task_queue *queue = *state;
    for (uint64_t task = 1; task <= 4; task++)
        offer(queue, task, "a");
    poll(queue, 1, 3, "a");
    expect_match(queue, 1, 1);
    expect_match(queue, 2, 1);
    expect_match(queue, 3, 1);
    struct collected collected = {0};
    assert_int_equal(task_queue_session_remove(queue, 1, collect, &collected), 3);
    assert_int_equal(collected.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(collected.tasks[i], i + 1);
    assert_int_equal(task_queue_session_remove(queue, 1, collect, &collected), 0);
    assert_false(task_queue_remove(queue, 2));
    /* offered again with its first age it goes before what waited meanwhile */
    offer(queue, 2, "a");
    poll(queue, 2, 2, "a");
    expect_match(queue, 2, 2);
    expect_match(queue, 4, 2);
    assert_int_equal(stats_of(queue).in_flight, 2);
    assert_int_equal(stats_of(queue).polls, 1);
}

static void test_session_replaced_and_reclaimed(void **state)
{
    struct task_queue *queue = *state;
    offer(queue, 1, "a");
    offer(queue, 2, "a");
    poll(queue, 1, 1, "a");
    expect_match(queue, 1, 1);
    task_queue_session_replace(queue, 1, 2);
    assert_int_equal(stats_of(queue).polls, 0);
    poll(queue, 2, 1, "a");
    expect_no_match(queue); /* the slot is taken by what came along */
    assert_true(task_queue_remove(queue, 1));
    expect_match(queue, 2, 2);

    task_queue_hold(queue, 9, false, 3); /* after a restart: known to nobody here */
    offer(queue, 10, "a");
    task_queue_hold(queue, 10, false, 3); /* recovered as waiting, then reclaimed */
    poll(queue, 3, 2, "a");
    offer(queue, 11, "a");
    expect_no_match(queue);
    assert_int_equal(stats_of(queue).in_flight, 3);
    assert_true(task_queue_remove(queue, 9));
    expect_match(queue, 11, 3);
}

static void test_suspects_come_one_at_a_time(void **state)
{
    struct task_queue *queue = *state;
    poll(queue, 1, 8, "a");
    offer_suspect(queue, 1);
    offer_suspect(queue, 2);
    offer_suspect(queue, 3);
    offer(queue, 4, "a");
    expect_match(queue, 1, 1);
    expect_match(queue, 4, 1); /* whoever is no suspect goes on */
    expect_no_match(queue);
    poll(queue, 2, 8, NULL);
    expect_match(queue, 2, 2);
    expect_no_match(queue);
    assert_true(task_queue_remove(queue, 1));
    expect_match(queue, 3, 1);

    offer_suspect(queue, 5);
    expect_no_match(queue);
    task_queue_hold(queue, 3, false, 1); /* it made progress */
    expect_match(queue, 5, 1);
    task_queue_hold(queue, 2, true, 3); /* claimed by the process's next session */
    offer_suspect(queue, 6);
    expect_match(queue, 6, 2);
}

/* A session's one-shot polls, too. */
static void test_suspects_and_one_shot_polls(void **state)
{
    struct task_queue *queue = *state;
    uint64_t replaced;
    poll_types(queue, 1, 10, 0, "a", NULL, &replaced);
    poll_types(queue, 1, 11, 0, "a", NULL, &replaced);
    offer_suspect(queue, 1);
    offer_suspect(queue, 2);
    expect_match(queue, 1, 1);
    expect_no_match(queue);
    assert_true(task_queue_remove(queue, 1));
    expect_match(queue, 2, 1);
}

static void test_stats(void **state)
{
    struct task_queue *queue = *state;
    assert_true(task_queue_is_idle(queue));
    assert_true(stats_of(queue).oldest_us == INT64_MAX);
    for (uint64_t task = 0; task < 60; task++) {
        int64_t now = 1000 * SECOND + (int64_t)task * SECOND;
        offer_at(queue, task, "a", task % 2 == 0 ? 1 : 5, now, now);
    }
    struct task_queue_stats stats;
    int64_t now = 1059 * SECOND;
    task_queue_stats_get(queue, now, &stats);
    assert_int_equal(stats.backlog, 60);
    assert_int_equal(stats.backlog_by_priority[0], 30);
    assert_int_equal(stats.backlog_by_priority[4], 30);
    assert_int_equal(stats.oldest_us, 1000 * SECOND);
    assert_int_equal(stats.offered_total, 60);
    assert_true(stats.offer_rate == 1.0);
    assert_true(stats.match_rate == 0.0);
    poll(queue, 1, 1, NULL);
    struct task_queue_match match;
    assert_true(task_queue_match(queue, now, &match));
    task_queue_stats_get(queue, now + 40 * SECOND, &stats);
    assert_true(stats.offer_rate == 0.0);
    assert_true(stats.match_rate == 0.0);
    task_queue_stats_get(queue, now + SECOND, &stats);
    assert_true(stats.match_rate == 1.0 / TASK_QUEUE_RATE_WINDOW_S);
    assert_int_equal(stats.oldest_us, 1001 * SECOND);
    assert_int_equal(stats.in_flight, 1);
    assert_false(task_queue_is_idle(queue));
}

static void see_poll(void *context, const struct task_queue_poll_info *info)
{
    int *count = context;
    (*count)++;
    assert_int_equal(info->session, *count);
    assert_int_equal(info->slots, *count == 1 ? 3 : 0);
    assert_int_equal(info->held, *count == 1 ? 1 : 0);
    assert_int_equal(info->type_count, *count == 1 ? 2 : 0);
    if (*count == 1)
        assert_string_equal(info->types[1], "b");
}

static void test_polls_listed(void **state)
{
    struct task_queue *queue = *state;
    uint64_t replaced;
    poll_types(queue, 1, 5, 3, "a", "b", &replaced);
    offer(queue, 1, "b");
    expect_match(queue, 1, 1);
    poll(queue, 2, 0, NULL);
    int count = 0;
    task_queue_each_poll(queue, see_poll, &count);
    assert_int_equal(count, 2);
}

/* 100,000 tasks, 100 sessions: a quadratic step would take minutes. */
static void test_large(void **state)
{
    struct task_queue *queue = *state;
    static const char *const types[] = {"a", "b", "c", "d", "nobody"};
    const uint64_t tasks = 100000;
    uint64_t start = clock_monotonic_ns();
    for (uint64_t task = 1; task <= tasks; task++)
        offer_at(queue, task, types[task % 5], (int)(task % 3), (int64_t)task, 0);
    for (uint64_t session = 1; session <= 100; session++)
        poll(queue, session, 8, session % 10 == 0 ? "c" : types[session % 4]);
    struct task_queue_match match;
    uint64_t matches = 0;
    for (bool more = true; more;) {
        more = false;
        while (task_queue_match(queue, 0, &match)) {
            more = true;
            matches++;
            if (matches % 2 == 0)
                assert_true(task_queue_remove(queue, match.task));
        }
        for (uint64_t session = 1; session <= 100 && matches < tasks * 4 / 5; session++) {
            struct collected held = {0};
            more |= task_queue_session_remove(queue, session, collect, &held) > 0;
            poll(queue, session, 8, types[session % 4]);
        }
    }
    print_message("%.0f ns per task\n", (double)(clock_monotonic_ns() - start) / (double)tasks);
    assert_int_equal(matches, tasks * 4 / 5);
    assert_int_equal(stats_of(queue).backlog, tasks / 5);
}

/* --- the model --- */

#define MODEL_TASKS    40
#define MODEL_SESSIONS 5

struct model_task {
    bool waiting;
    uint64_t holder; /* 0: none */
    int type;
    int priority;
    int64_t since_us;
    int64_t rank;
    bool is_suspect;
    uint64_t order;
};

struct model_poll {
    bool exists;
    unsigned types; /* bit per type; 0: any */
    int32_t slots;
    uint64_t served;
    uint64_t polled;
};

struct model {
    struct model_task tasks[MODEL_TASKS];
    struct model_poll polls[MODEL_SESSIONS + 1];
    uint64_t clock;
    int64_t limit;
    bool is_paused;
};

static int64_t model_held(const struct model *model, uint64_t session)
{
    int64_t held = 0;
    for (int i = 0; i < MODEL_TASKS; i++)
        held += session == 0 ? model->tasks[i].holder != 0 : model->tasks[i].holder == session;
    return held;
}

static bool model_holds_suspect(const struct model *model, uint64_t session)
{
    for (int i = 0; i < MODEL_TASKS; i++) {
        if (model->tasks[i].holder == session && model->tasks[i].is_suspect)
            return true;
    }
    return false;
}

static bool model_takes(const struct model *model, uint64_t session, const struct model_task *task)
{
    const struct model_poll *poll = &model->polls[session];
    return poll->exists && (poll->types == 0 || (poll->types >> task->type & 1)) &&
           model_held(model, session) < poll->slots &&
           !(task->is_suspect && model_holds_suspect(model, session));
}

/* The task that must go next, or -1. */
static int model_next_task(const struct model *model)
{
    int best = -1;
    if (model->is_paused)
        return -1;
    if (model->limit > 0 && model_held(model, 0) >= model->limit)
        return -1;
    for (int i = 0; i < MODEL_TASKS; i++) {
        const struct model_task *task = &model->tasks[i];
        bool can_go = false;
        for (uint64_t session = 1; session <= MODEL_SESSIONS; session++)
            can_go |= model_takes(model, session, task);
        if (!task->waiting || !can_go)
            continue;
        const struct model_task *other = best >= 0 ? &model->tasks[best] : NULL;
        if (other == NULL || task->priority < other->priority ||
            (task->priority == other->priority &&
             (task->since_us < other->since_us ||
              (task->since_us == other->since_us &&
               (task->rank < other->rank ||
                (task->rank == other->rank && task->order < other->order))))))
            best = i;
    }
    return best;
}

/* The session that must get it; polls never served go in the order they came. */
static bool model_accepts(const struct model *model, int task, uint64_t session)
{
    if (!model_takes(model, session, &model->tasks[task]))
        return false;
    double load = (double)model_held(model, session) / model->polls[session].slots;
    for (uint64_t other = 1; other <= MODEL_SESSIONS; other++) {
        if (other == session || !model_takes(model, other, &model->tasks[task]))
            continue;
        double other_load = (double)model_held(model, other) / model->polls[other].slots;
        if (other_load < load - 1e-9)
            return false;
        if (other_load < load + 1e-9 && model->polls[other].served < model->polls[session].served)
            return false;
    }
    return true;
}

static void model_check_matches(struct model *model, struct task_queue *queue)
{
    for (;;) {
        int expected = model_next_task(model);
        struct task_queue_match match;
        bool matched = task_queue_match(queue, 0, &match);
        assert_int_equal(matched, expected >= 0);
        if (!matched)
            return;
        assert_int_equal(match.task, expected);
        assert_true(model_accepts(model, expected, match.session));
        model->tasks[expected].waiting = false;
        model->tasks[expected].holder = match.session;
        model->polls[match.session].served = ++model->clock;
    }
}

static unsigned roll(unsigned *seed, unsigned bound)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % bound;
}

static void model_offer(struct model *model, struct task_queue *queue, unsigned *seed)
{
    static const char *const types[] = {"a", "b", "c"};
    unsigned id = roll(seed, MODEL_TASKS);
    struct model_task *task = &model->tasks[id];
    if (task->waiting || task->holder != 0)
        return;
    *task = (struct model_task){.waiting = true,
                                .type = (int)roll(seed, 3),
                                .priority = 1 + (int)roll(seed, 5),
                                .since_us = roll(seed, 10),
                                .rank = roll(seed, 3),
                                .is_suspect = roll(seed, 4) == 0,
                                .order = ++model->clock};
    task_queue_offer(queue,
                     &(struct task_queue_task){.id = id,
                                               .type = types[task->type],
                                               .priority = task->priority,
                                               .since_us = task->since_us,
                                               .rank = task->rank,
                                               .is_suspect = task->is_suspect},
                     0);
}

static void model_poll(struct model *model, struct task_queue *queue, unsigned *seed)
{
    static const char *const names[] = {"a", "b", "c"};
    uint64_t session = 1 + roll(seed, MODEL_SESSIONS);
    unsigned mask = roll(seed, 8);
    const char *types[3];
    size_t count = 0;
    for (int i = 0; i < 3; i++) {
        if (mask >> i & 1)
            types[count++] = names[i];
    }
    struct task_queue_poll request = {.session = session,
                                      .correlation_id = ++model->clock,
                                      .types = types,
                                      .type_count = count,
                                      .slots = 1 + (int32_t)roll(seed, 4)};
    uint64_t replaced;
    struct model_poll *poll = &model->polls[session];
    assert_int_equal(task_queue_poll(queue, &request, 0, &replaced), poll->exists);
    uint64_t served = poll->exists ? poll->served : 0;
    if (poll->exists)
        assert_int_equal(replaced, poll->polled);
    *poll = (struct model_poll){.exists = true,
                                .types = mask,
                                .slots = request.slots,
                                .served = served,
                                .polled = request.correlation_id};
}

static void model_lose(struct model *model, struct task_queue *queue, unsigned *seed)
{
    uint64_t session = 1 + roll(seed, MODEL_SESSIONS);
    struct collected lost = {0};
    int64_t held = model_held(model, session);
    assert_int_equal(task_queue_session_remove(queue, session, collect, &lost), held);
    for (size_t i = 0; i < lost.count; i++) {
        assert_int_equal(model->tasks[lost.tasks[i]].holder, session);
        model->tasks[lost.tasks[i]].holder = 0;
    }
    model->polls[session] = (struct model_poll){0};
}

static void model_remove(struct model *model, struct task_queue *queue, unsigned *seed)
{
    unsigned id = roll(seed, MODEL_TASKS);
    struct model_task *task = &model->tasks[id];
    assert_int_equal(task_queue_remove(queue, id), task->waiting || task->holder != 0);
    *task = (struct model_task){0};
}

static void test_against_model(void **state)
{
    struct task_queue *queue = *state;
    struct model model = {0};
    unsigned seed = 42;
    uint64_t matches = 0;
    for (int step = 0; step < 50000; step++) {
        switch (roll(&seed, 16)) {
        case 0:
            model_poll(&model, queue, &seed);
            break;
        case 1:
            if (roll(&seed, 4) == 0)
                model_lose(&model, queue, &seed);
            break;
        case 2:
            model.is_paused = roll(&seed, 4) == 0;
            task_queue_pause_set(queue, model.is_paused);
            model.limit = (int64_t)roll(&seed, 8);
            task_queue_limit_set(queue, model.limit);
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            model_remove(&model, queue, &seed);
            break;
        default:
            model_offer(&model, queue, &seed);
            break;
        }
        model_check_matches(&model, queue);
        struct task_queue_stats stats = stats_of(queue);
        assert_int_equal(stats.in_flight, model_held(&model, 0));
        matches = stats.matched_total;
    }
    print_message("%d matches\n", (int)matches);
    assert_true(matches > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_only_registered_types),
        TEST(test_priority_then_age),
        TEST(test_slots_bound_a_session),
        TEST(test_one_shot_polls),
        TEST(test_standing_poll_replaced),
        TEST(test_least_loaded_then_longest_waiting),
        TEST(test_queue_limit),
        TEST(test_session_lost),
        TEST(test_session_replaced_and_reclaimed),
        TEST(test_suspects_come_one_at_a_time),
        TEST(test_suspects_and_one_shot_polls),
        TEST(test_stats),
        TEST(test_polls_listed),
        TEST(test_large),
        TEST(test_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
