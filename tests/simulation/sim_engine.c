/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_engine: the shell around the core: batches of calls, commits that take time, replies that
 * wait for them, ticks that come late, crashes and recovery.
 */
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "common/assert.h"
#include "engine/message.h"
#include "tests/simulation/sim.h"

struct batch_reply {
    struct outbox_reply reply;
    struct batch_reply *next;
};

struct sim_batch {
    uint64_t sequence;
    struct store_write *writes;
    size_t write_count;
    struct batch_reply *replies;
    uint64_t dump; /* hash of the state at its end */
    struct sim_batch *next;
};

static void *copy_message(struct sim *sim, const void *message)
{
    void *copy = codec_copy(message, &sim->arena);
    ASSERT(copy != NULL);
    return copy;
}

static uint64_t dump_hash(const struct core *core)
{
    struct buffer text = {0};
    core_dump(core, &text);
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ text.data[i]) * 1099511628211u;
    buffer_fini(&text);
    return hash;
}

/* --- the store
 * ---------------------------------------------------------------------------------------- */

static struct sim_log *find_log(struct sim *sim, int64_t run_key)
{
    for (size_t i = sim->log_count; i > 0; i--) {
        if (sim->logs[i - 1].run.run_key == run_key)
            return &sim->logs[i - 1];
    }
    return NULL;
}

static struct sim_log *add_log(struct sim *sim, const struct store_run *run)
{
    if (sim->log_count == sim->log_capacity) {
        sim->log_capacity = sim->log_capacity != 0 ? sim->log_capacity * 2 : 16;
        sim->logs = reallocarray(sim->logs, sim->log_capacity, sizeof *sim->logs);
        ASSERT(sim->logs != NULL);
    }
    sim->logs[sim->log_count] = (struct sim_log){.run = *run};
    return &sim->logs[sim->log_count++];
}

static void apply_write(struct sim *sim, const struct store_write *write)
{
    struct sim_log *log = find_log(sim, write->run_key);
    SIM_CHECK(sim, (log == NULL) == write->opened, "first write of a run is not its first");
    if (log == NULL)
        log = add_log(sim, &write->run);
    SIM_CHECK(sim, !log->closed, "a closed run is written");
    if (log->count == log->capacity) {
        log->capacity = log->capacity != 0 ? log->capacity * 2 : 8;
        log->blobs = reallocarray(log->blobs, log->capacity, sizeof *log->blobs);
        ASSERT(log->blobs != NULL);
    }
    log->blobs[log->count++] = write->records;
    if (write->closed) {
        log->closed = true;
        log->run.status = write->run.status;
        log->run.close_utc_us = write->run.close_utc_us;
        log->run.history_length = write->run.history_length;
    }
}

static void look_up(struct sim *sim, const struct core_need *need, struct core_lookup *ret_lookup)
{
    *ret_lookup = (struct core_lookup){0};
    for (size_t i = sim->log_count; i > 0; i--) {
        const struct sim_log *log = &sim->logs[i - 1];
        bool matches = need->run_id[0] != '\0'
                           ? strcmp(log->run.run_id, need->run_id) == 0
                           : strcmp(log->run.workflow_id, need->workflow_id) == 0;
        if (!matches)
            continue;
        *ret_lookup = (struct core_lookup){
            .found = true, .run = log->run, .records = log->blobs, .record_count = log->count};
        return;
    }
}

/* --- crashes
 * ------------------------------------------------------------------------------------------ */

static void recover(struct sim *sim, void *arg, uint64_t epoch);

static void crash(struct sim *sim)
{
    sim->crashes++;
    sim->epoch++;
    core_destroy(sim->core);
    sim->core = NULL;
    sim->batches = NULL;
    sim->current = NULL;
    sim->batch_is_open = false;
    sim_network_engine_crashed(sim);
    sim_at(sim, sim_between(sim, 10 * SIM_MS, 3 * SIM_S), recover, NULL, sim->epoch);
}

/* --- batches
 * ------------------------------------------------------------------------------------------ */

static void commit_done(struct sim *sim, void *arg, uint64_t epoch);
static void end_batch(struct sim *sim, void *arg, uint64_t epoch);

static struct core_input begin_call(struct sim *sim)
{
    if (!sim->batch_is_open) {
        sim->batch_is_open = true;
        sim->replies_taken = 0;
        outbox_reset(&sim->outbox, ++sim->sequence);
        sim->current = sim_alloc(sim, sizeof *sim->current);
        sim->current->sequence = sim->sequence;
        sim_at(sim, sim_between(sim, 0, 300), end_batch, NULL, sim->epoch);
    }
    sim->calls_made++;
    return (struct core_input){.now_utc_us = sim->now_us,
                               .entropy = {sim_random(sim, 0), sim_random(sim, 0)}};
}

/* Replies are copied at once: they borrow from the core. */
static void end_call(struct sim *sim)
{
    for (; sim->replies_taken < sim->outbox.reply_count; sim->replies_taken++) {
        struct batch_reply *entry = sim_alloc(sim, sizeof *entry);
        entry->reply = sim->outbox.replies[sim->replies_taken];
        entry->reply.body = copy_message(sim, entry->reply.body);
        LL_APPEND(sim->current->replies, entry);
    }
    core_check(sim->core);
}

static void send_replies(struct sim *sim, const struct sim_batch *batch, bool early)
{
    const struct batch_reply *entry;
    LL_FOREACH (batch->replies, entry) {
        if (entry->reply.early == early)
            sim_network_reply(sim, entry->reply.session, entry->reply.correlation,
                              entry->reply.grpc_status, entry->reply.more, entry->reply.body);
    }
}

static struct store_write copy_write(struct sim *sim, const struct store_write *write)
{
    struct store_write copy = *write;
    copy.records.data = memory_copy(&sim->arena, write->records.data, write->records.size);
    if (write->opened || write->closed) {
        copy.run.namespace_name = text_copy(&sim->arena, write->run.namespace_name);
        copy.run.workflow_id = text_copy(&sim->arena, write->run.workflow_id);
        copy.run.run_id = text_copy(&sim->arena, write->run.run_id);
        copy.run.workflow_type = text_copy(&sim->arena, write->run.workflow_type);
        copy.run.task_queue = text_copy(&sim->arena, write->run.task_queue);
    }
    return copy;
}

static void tick(struct sim *sim, void *arg, uint64_t epoch)
{
    (void)arg;
    if (epoch != sim->epoch || sim->core == NULL || core_next_tick_utc_us(sim->core) > sim->now_us)
        return;
    struct core_input input = begin_call(sim);
    core_tick(sim->core, &input, &sim->outbox);
    end_call(sim);
}

static void end_batch(struct sim *sim, void *arg, uint64_t epoch)
{
    (void)arg;
    if (epoch != sim->epoch)
        return;
    struct sim_batch *batch = sim->current;
    sim->current = NULL;
    sim->batch_is_open = false;
    sim->batches_made++;
    batch->write_count = sim->outbox.write_count;
    batch->writes = sim_alloc(sim, (batch->write_count + 1) * sizeof *batch->writes);
    for (size_t i = 0; i < batch->write_count; i++)
        batch->writes[i] = copy_write(sim, &sim->outbox.writes[i]);
    batch->dump = dump_hash(sim->core);
    LL_APPEND(sim->batches, batch);
    send_replies(sim, batch, true);
    bool planned =
        sim->options.crash_at != 0 && (int64_t)sim->batches_made == sim->options.crash_at;
    if (planned || sim_chance(sim, sim->options.crash_chance)) {
        crash(sim);
        return;
    }
    /* One commit after the other. */
    int64_t done_us = sim->now_us + sim_between(sim, 100, 3000);
    if (done_us < sim->last_commit_us)
        done_us = sim->last_commit_us;
    sim->last_commit_us = done_us;
    sim_at(sim, done_us - sim->now_us, commit_done, batch, sim->epoch);
    int64_t next_us = core_next_tick_utc_us(sim->core);
    if (next_us != INT64_MAX) {
        int64_t delay_us = next_us > sim->now_us ? next_us - sim->now_us : 0;
        sim_at(sim, delay_us + sim_between(sim, 0, 5 * SIM_MS), tick, NULL, sim->epoch);
    }
}

static void commit_done(struct sim *sim, void *arg, uint64_t epoch)
{
    if (epoch != sim->epoch)
        return;
    struct sim_batch *batch = arg;
    ASSERT(sim->batches == batch);
    LL_DELETE(sim->batches, batch);
    for (size_t i = 0; i < batch->write_count; i++)
        apply_write(sim, &batch->writes[i]);
    sim->durable_dump = batch->dump;
    if (sim_chance(sim, sim->options.crash_chance)) {
        crash(sim); /* durable, but nobody was told */
        return;
    }
    core_durable(sim->core, batch->sequence);
    send_replies(sim, batch, false);
}

/* --- recovery
 * ----------------------------------------------------------------------------------------- */

static void recover(struct sim *sim, void *arg, uint64_t epoch)
{
    (void)arg;
    if (epoch != sim->epoch)
        return;
    sim->core = core_create(&sim->config);
    for (size_t i = 0; i < sim->log_count; i++) {
        struct sim_log *log = &sim->logs[i];
        struct error err = {0};
        if (log->run.run_key >= sim->next_run_key)
            sim->next_run_key = log->run.run_key + 1;
        int rc =
            log->closed ? 0 : core_recover_run(sim->core, &log->run, log->blobs, log->count, &err);
        SIM_CHECK(sim, rc == 0, "recovery: %s", err.text);
    }
    SIM_CHECK(sim, sim->durable_dump == 0 || dump_hash(sim->core) == sim->durable_dump,
              "state rebuilt from the log differs from the state that wrote it");
    struct core_input input = begin_call(sim);
    core_recovered(sim->core, &input, sim->next_run_key, &sim->outbox);
    end_call(sim);
    for (size_t i = 0; i < sim->actor_count; i++)
        sim_connect(sim, sim->actors[i], sim_between(sim, SIM_MS, 2 * SIM_S));
}

void sim_engine_start(struct sim *sim)
{
    recover(sim, NULL, sim->epoch);
}

void sim_engine_stop(struct sim *sim)
{
    while (sim->batches != NULL) {
        struct sim_batch *batch = sim->batches;
        LL_DELETE(sim->batches, batch);
        for (size_t i = 0; i < batch->write_count; i++)
            apply_write(sim, &batch->writes[i]);
    }
    core_destroy(sim->core);
    sim->core = NULL;
}

/* --- requests
 * ----------------------------------------------------------------------------------------- */

void sim_engine_request(struct sim *sim, uint64_t session, uint64_t correlation, enum method method,
                        const ProtobufCMessage *body)
{
    if (sim->core == NULL)
        return;
    struct core_input input = begin_call(sim);
    struct core_request request = {
        .session = session, .correlation = correlation, .method = method, .body = body};
    struct core_need need;
    struct core_lookup lookup;
    size_t writes = sim->outbox.write_count, replies = sim->outbox.reply_count;
    if (core_handle(sim->core, &input, &request, &need, &sim->outbox) == CORE_NEEDS_RUN) {
        SIM_CHECK(sim, sim->outbox.write_count == writes && sim->outbox.reply_count == replies,
                  "a request that needs a run has already done something");
        look_up(sim, &need, &lookup);
        request.lookup = &lookup;
        enum core_result result = core_handle(sim->core, &input, &request, &need, &sim->outbox);
        SIM_CHECK(sim, result == CORE_HANDLED, "a request needs a run twice");
    }
    end_call(sim);
}

void sim_engine_session_lost(struct sim *sim, uint64_t session, const char *reason)
{
    if (sim->core == NULL)
        return;
    struct core_input input = begin_call(sim);
    core_session_lost(sim->core, &input, session, reason, &sim->outbox);
    end_call(sim);
}
