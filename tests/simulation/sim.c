/* SPDX-License-Identifier: Apache-2.0 */
/* sim: the world itself: time, chance, memory, and the run of one seed. See sim.h. */
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "engine/message.h"

struct sim_event {
    int64_t at_us;
    uint64_t order;
    sim_fire *fire;
    void *arg;
    uint64_t value;
};

void sim_fail(const struct sim *sim, const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr,
            "simulation failed: seed=%" PRIu64 " crash_at=%" PRId64 " at %" PRId64 " us, %s:%d: ",
            sim->options.seed, sim->options.crash_at, sim->now_us - SIM_START_US, file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nreplay it with: test_simulation %" PRIu64 "\n", sim->options.seed);
    va_end(args);
    abort();
}

/* --- chance and memory
 * ---------------------------------------------------------------------------- */

uint64_t sim_random(struct sim *sim, uint64_t bound)
{
    sim->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = sim->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return bound > 0 ? z % bound : z;
}

bool sim_chance(struct sim *sim, int per_thousand)
{
    bool hit = sim_random(sim, 1000) < (uint64_t)per_thousand;
    return hit && !sim->calm;
}

int64_t sim_between(struct sim *sim, int64_t low, int64_t high)
{
    return low + (int64_t)sim_random(sim, (uint64_t)(high - low + 1));
}

void *sim_alloc(struct sim *sim, size_t size)
{
    void *data = arena_calloc(&sim->arena, 1, size);
    ASSERT(data != NULL);
    return data;
}

char *sim_text(struct sim *sim, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text_copy(&sim->arena, text);
}

void *sim_message(struct sim *sim, const ProtobufCMessageDescriptor *descriptor)
{
    return message_new(&sim->arena, descriptor);
}

Api__Payloads *sim_payloads(struct sim *sim, const char *text)
{
    Api__Payloads *payloads = sim_message(sim, &api__payloads__descriptor);
    Api__Payload *payload = payload_json_new(&sim->arena, text);
    payloads->n_payloads = 1;
    payloads->payloads = memory_copy(&sim->arena, &payload, sizeof payload);
    return payloads;
}

/* --- time
 * ------------------------------------------------------------------------------------------ */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_at(struct sim *sim, int64_t delay_us, sim_fire *fire, void *arg, uint64_t value)
{
    struct sim_event *event = sim_alloc(sim, sizeof *event);
    *event = (struct sim_event){.at_us = sim->now_us + delay_us,
                                .order = sim->next_order++,
                                .fire = fire,
                                .arg = arg,
                                .value = value};
    if (sim->event_count == sim->event_capacity) {
        sim->event_capacity = sim->event_capacity != 0 ? sim->event_capacity * 2 : 256;
        sim->events = reallocarray(sim->events, sim->event_capacity, sizeof *sim->events);
        ASSERT(sim->events != NULL);
    }
    size_t place = sim->event_count++;
    while (place > 0 && is_before(event, sim->events[(place - 1) / 2])) {
        sim->events[place] = sim->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    sim->events[place] = event;
}

static struct sim_event *take_first(struct sim *sim)
{
    struct sim_event *first = sim->events[0];
    struct sim_event *last = sim->events[--sim->event_count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= sim->event_count)
            break;
        if (child + 1 < sim->event_count && is_before(sim->events[child + 1], sim->events[child]))
            child++;
        if (!is_before(sim->events[child], last))
            break;
        sim->events[place] = sim->events[child];
        place = child;
    }
    sim->events[place] = last;
    return first;
}

static void end_chaos(struct sim *sim, void *arg, uint64_t value)
{
    (void)arg, (void)value;
    sim->calm = true;
}

/* --- one seed
 * --------------------------------------------------------------------------------------- */

/* In a calm world everything is over within the longest chain of timeouts a plan can have. */
#define PATIENCE_US (INT64_C(7200) * SIM_S)

void sim_run(const struct sim_options *options, size_t *ret_batches)
{
    struct sim sim = {.options = *options,
                      .now_us = SIM_START_US,
                      .random = options->seed * 0x2545f4914f6cdd1du + 1,
                      .config = core_config_default(),
                      .next_run_key = 1,
                      .next_session = 1,
                      .next_correlation = 1};
    arena_init(&sim.arena, ARENA_NO_LIMIT);
    outbox_init(&sim.outbox);
    sim_ledger_create(&sim);
    sim_at(&sim, options->chaos_us, end_chaos, NULL, 0);
    sim_engine_start(&sim);
    sim_client_create(&sim);
    for (int i = 0; i < options->workers; i++)
        sim_worker_create(&sim, i);
    while (!sim_client_is_done(&sim)) {
        SIM_CHECK(&sim, sim.event_count > 0, "nothing will ever happen again");
        struct sim_event *event = take_first(&sim);
        sim.now_us = event->at_us;
        SIM_CHECK(&sim, sim.now_us < SIM_START_US + options->chaos_us + PATIENCE_US,
                  "a workflow does not finish");
        event->fire(&sim, event->arg, event->value);
    }
    sim_engine_stop(&sim);
    sim_ledger_check(&sim);
    if (ret_batches != NULL)
        *ret_batches = sim.batches_made;
    sim_workers_fini(&sim);
    HASH_CLEAR(hh, sim.calls);
    for (size_t i = 0; i < sim.log_count; i++)
        free(sim.logs[i].blobs);
    free(sim.logs);
    free(sim.actors);
    free(sim.workers);
    free(sim.events);
    outbox_fini(&sim.outbox);
    arena_fini(&sim.arena);
}
