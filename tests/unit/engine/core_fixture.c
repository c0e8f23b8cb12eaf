/* SPDX-License-Identifier: Apache-2.0 */
/* core_fixture: see core_fixture.h. */
#include "tests/unit/engine/core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "engine/run.h"
#include "tests/unit/engine/history_text.h"

void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.config = core_config_default(),
                                .now_us = FIXTURE_START_US,
                                .sequence = 0,
                                .next_correlation = 1};
    fixture->core = core_create(&fixture->config);
    outbox_init(&fixture->outbox);
    arena_init(&fixture->arena, ARENA_NO_LIMIT);
}

void fixture_fini(struct fixture *fixture)
{
    core_destroy(fixture->core);
    outbox_fini(&fixture->outbox);
    for (size_t i = 0; i < fixture->log_count; i++)
        free(fixture->logs[i].blobs);
    free(fixture->logs);
    free(fixture->settings);
    free(fixture->replies);
    arena_fini(&fixture->arena);
}

/* --- the log ------------------------------------------------------------------------------------
 */

static struct store_run copy_run(struct fixture *fixture, const struct store_run *run)
{
    struct store_run copy = *run;
    copy.namespace_name = arena_strdup(&fixture->arena, run->namespace_name);
    copy.workflow_id = arena_strdup(&fixture->arena, run->workflow_id);
    copy.run_id = arena_strdup(&fixture->arena, run->run_id);
    copy.workflow_type = arena_strdup(&fixture->arena, run->workflow_type);
    copy.task_queue = arena_strdup(&fixture->arena, run->task_queue);
    return copy;
}

static struct fixture_log *find_log(struct fixture *fixture, int64_t run_key)
{
    for (size_t i = 0; i < fixture->log_count; i++) {
        if (fixture->logs[i].run.run_key == run_key)
            return &fixture->logs[i];
    }
    return NULL;
}

static struct store_blob copy_blob(struct fixture *fixture, const struct store_blob *blob)
{
    return (struct store_blob){.data = arena_memdup(&fixture->arena, blob->data, blob->size),
                               .size = blob->size};
}

static void write_setting(struct fixture *fixture, const struct store_write *write)
{
    fixture->settings =
        reallocarray(fixture->settings, fixture->setting_count + 1, sizeof *fixture->settings);
    assert_non_null(fixture->settings);
    fixture->settings[fixture->setting_count++] =
        (struct fixture_setting){.name = arena_strdup(&fixture->arena, write->setting),
                                 .value = copy_blob(fixture, &write->records)};
}

static void write_log(struct fixture *fixture, const struct store_write *write)
{
    if (write->setting != NULL) {
        write_setting(fixture, write);
        return;
    }
    if (write->opened) {
        assert_null(find_log(fixture, write->run_key));
        fixture->logs = reallocarray(fixture->logs, fixture->log_count + 1, sizeof *fixture->logs);
        assert_non_null(fixture->logs);
        fixture->logs[fixture->log_count++] =
            (struct fixture_log){.run = copy_run(fixture, &write->run)};
    }
    struct fixture_log *log = find_log(fixture, write->run_key);
    assert_non_null(log);
    assert_false(log->closed);
    if (log->count == log->capacity) {
        log->capacity = log->capacity != 0 ? log->capacity * 2 : 8;
        log->blobs = reallocarray(log->blobs, log->capacity, sizeof *log->blobs);
        assert_non_null(log->blobs);
    }
    log->blobs[log->count++] = copy_blob(fixture, &write->records);
    if (write->closed) {
        log->closed = true;
        log->run.status = write->run.status;
        log->run.close_utc_us = write->run.close_utc_us;
        log->run.history_length = write->run.history_length;
    }
}

static struct run *rebuild(const struct fixture_log *log)
{
    struct error err = {0};
    struct run *run = run_create(log->run.run_key, log->run.workflow_id, log->run.run_id);
    if (run_load(run, log->blobs, log->count, &err) < 0)
        fail_msg("log cannot be read back: %s", err.text);
    return run;
}

/* What the log says of all open runs, in the order of their keys, as core_dump has it. */
static void check_log(struct fixture *fixture)
{
    struct buffer live = {0}, rebuilt = {0};
    core_dump(fixture->core, &live);
    for (size_t i = 0; i < fixture->log_count; i++) {
        struct run *run = rebuild(&fixture->logs[i]);
        assert_int_equal(run_is_open(run), !fixture->logs[i].closed);
        if (run_is_open(run))
            run_dump(run, &rebuilt);
        run_destroy(run);
    }
    const char *a = buffer_text(&live), *b = buffer_text(&rebuilt);
    size_t same = 0;
    while (a[same] != '\0' && a[same] == b[same])
        same++;
    if (a[same] != b[same])
        fail_msg("state and log differ at %zu:\n...%.200s\n...%.200s", same,
                 a + (same > 60 ? same - 60 : 0), b + (same > 60 ? same - 60 : 0));
    buffer_fini(&live);
    buffer_fini(&rebuilt);
}

/* --- calls --------------------------------------------------------------------------------------
 */

static void take_reply(struct fixture *fixture, const struct outbox_reply *reply)
{
    if (fixture->reply_count == fixture->reply_capacity) {
        fixture->reply_capacity = fixture->reply_capacity != 0 ? fixture->reply_capacity * 2 : 64;
        fixture->replies =
            reallocarray(fixture->replies, fixture->reply_capacity, sizeof *fixture->replies);
        assert_non_null(fixture->replies);
    }
    /* Through the codec: what cannot be encoded cannot be sent. */
    struct buffer bytes = {0};
    struct error err = {0};
    if (codec_encode(reply->body, &bytes, &err) < 0)
        fail_msg("reply cannot be encoded: %s", err.text);
    const uint8_t *data = arena_memdup(&fixture->arena, bytes.data, bytes.size);
    struct fixture_reply taken = {.session = reply->session,
                                  .correlation = reply->correlation,
                                  .grpc_status = reply->grpc_status,
                                  .more = reply->more,
                                  .early = reply->early};
    if (codec_decode(reply->body->descriptor, data, bytes.size, &fixture->arena, &taken.body,
                     &err) < 0)
        fail_msg("reply cannot be decoded: %s", err.text);
    buffer_fini(&bytes);
    fixture->replies[fixture->reply_count++] = taken;
}

static void end_call(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->outbox.reply_count; i++)
        take_reply(fixture, &fixture->outbox.replies[i]);
    for (size_t i = 0; i < fixture->outbox.write_count && !fixture->loses_writes; i++)
        write_log(fixture, &fixture->outbox.writes[i]);
    for (size_t i = 0; i < fixture->outbox.kill_count && fixture->kill_count < 16; i++)
        fixture->kills[fixture->kill_count++] = fixture->outbox.kills[i];
    if (!fixture->checks_later)
        core_check(fixture->core);
    if (fixture->loses_writes)
        return;
    if (!fixture->checks_later)
        check_log(fixture);
    core_durable(fixture->core, fixture->sequence);
    if (!fixture->checks_later)
        core_check(fixture->core);
}

static struct core_input begin_call(struct fixture *fixture)
{
    outbox_reset(&fixture->outbox, ++fixture->sequence);
    fixture->entropy += 2;
    return (struct core_input){.now_utc_us = fixture->now_us,
                               .entropy = {fixture->entropy, fixture->entropy + 1}};
}

static void look_up(struct fixture *fixture, const struct core_need *need,
                    struct core_lookup *ret_lookup)
{
    *ret_lookup = (struct core_lookup){0};
    for (size_t i = fixture->log_count; i > 0; i--) {
        const struct fixture_log *log = &fixture->logs[i - 1];
        bool matches = need->run_id[0] != '\0'
                           ? strcmp(log->run.run_id, need->run_id) == 0
                           : strcmp(log->run.workflow_id, need->workflow_id) == 0;
        if (!matches)
            continue;
        *ret_lookup = (struct core_lookup){.found = true, .run = log->run};
        if (need->with_records) {
            ret_lookup->records = log->blobs;
            ret_lookup->record_count = log->count;
        }
        return;
    }
}

uint64_t fixture_send(struct fixture *fixture, uint64_t session, enum method method,
                      const void *body)
{
    struct core_input input = begin_call(fixture);
    struct core_request request = {.session = session,
                                   .correlation = fixture->next_correlation++,
                                   .method = method,
                                   .body = body};
    struct core_need need;
    struct core_lookup lookup;
    enum core_result result = core_handle(fixture->core, &input, &request, &need, &fixture->outbox);
    if (result == CORE_NEEDS_RUN) {
        assert_int_equal(fixture->outbox.reply_count, 0);
        assert_int_equal(fixture->outbox.write_count, 0);
        look_up(fixture, &need, &lookup);
        request.lookup = &lookup;
        result = core_handle(fixture->core, &input, &request, &need, &fixture->outbox);
    }
    assert_int_equal(result, CORE_HANDLED);
    end_call(fixture);
    return request.correlation;
}

struct fixture_reply *fixture_find(struct fixture *fixture, uint64_t session, uint64_t correlation)
{
    for (size_t i = 0; i < fixture->reply_count; i++) {
        struct fixture_reply *reply = &fixture->replies[i];
        if (!reply->taken && reply->session == session && reply->correlation == correlation) {
            reply->taken = true;
            return reply;
        }
    }
    return NULL;
}

struct fixture_reply *fixture_take(struct fixture *fixture, uint64_t session, uint64_t correlation)
{
    struct fixture_reply *reply = fixture_find(fixture, session, correlation);
    assert_non_null(reply);
    return reply;
}

void *fixture_ok(struct fixture *fixture, uint64_t session, enum method method, const void *body)
{
    uint64_t correlation = fixture_send(fixture, session, method, body);
    struct fixture_reply *reply = fixture_take(fixture, session, correlation);
    if (reply->grpc_status != 0)
        fail_msg("request was refused: %s", ((Api__ErrorReply *)reply->body)->message);
    return reply->body;
}

void fixture_refused(struct fixture *fixture, uint64_t session, enum method method,
                     const void *body, int grpc_status, const char *text)
{
    uint64_t correlation = fixture_send(fixture, session, method, body);
    struct fixture_reply *reply = fixture_take(fixture, session, correlation);
    assert_int_equal(reply->grpc_status, grpc_status);
    const char *message = ((Api__ErrorReply *)reply->body)->message;
    if (strstr(message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, message);
}

void fixture_advance(struct fixture *fixture, int64_t us)
{
    int64_t end_us = fixture->now_us + us;
    int64_t next_us;
    while ((next_us = core_next_tick_utc_us(fixture->core)) <= end_us) {
        if (next_us > fixture->now_us)
            fixture->now_us = next_us;
        struct core_input input = begin_call(fixture);
        core_tick(fixture->core, &input, &fixture->outbox);
        end_call(fixture);
    }
    fixture->now_us = end_us;
}

void fixture_lose(struct fixture *fixture, uint64_t session, const char *reason)
{
    struct core_input input = begin_call(fixture);
    core_session_lost(fixture->core, &input, session, reason, &fixture->outbox);
    end_call(fixture);
}

void fixture_reconfigure(struct fixture *fixture, const struct core_queue_limit *limits,
                         size_t count)
{
    struct core_input input = begin_call(fixture);
    core_reconfigure_queues(fixture->core, &input, limits, count, &fixture->outbox);
    end_call(fixture);
}

/* Whether a later change of the same name is there. */
static bool is_superseded(const struct fixture *fixture, size_t place)
{
    for (size_t i = place + 1; i < fixture->setting_count; i++) {
        if (strcmp(fixture->settings[i].name, fixture->settings[place].name) == 0)
            return true;
    }
    return false;
}

static void recover_settings(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->setting_count; i++) {
        const struct fixture_setting *setting = &fixture->settings[i];
        struct error err = {0};
        if (setting->value.size > 0 && !is_superseded(fixture, i) &&
            core_recover_setting(fixture->core, setting->name, &setting->value, &err) < 0)
            fail_msg("setting cannot be read back: %s", err.text);
    }
}

void fixture_restart(struct fixture *fixture)
{
    core_destroy(fixture->core);
    fixture->core = core_create(&fixture->config);
    fixture->loses_writes = false;
    if (fixture->on_start != NULL)
        fixture->on_start(fixture->core);
    recover_settings(fixture);
    int64_t next_run_key = 1;
    for (size_t i = 0; i < fixture->log_count; i++) {
        struct fixture_log *log = &fixture->logs[i];
        struct error err = {0};
        next_run_key = log->run.run_key + 1;
        if (!log->closed &&
            core_recover_run(fixture->core, &log->run, log->blobs, log->count, &err) < 0)
            fail_msg("recovery failed: %s", err.text);
    }
    struct core_input input = begin_call(fixture);
    core_recovered(fixture->core, &input, next_run_key, &fixture->outbox);
    end_call(fixture);
}

const char *fixture_history(struct fixture *fixture, const char *workflow_id)
{
    for (size_t i = fixture->log_count; i > 0; i--) {
        if (strcmp(fixture->logs[i - 1].run.workflow_id, workflow_id) != 0)
            continue;
        struct run *run = rebuild(&fixture->logs[i - 1]);
        struct buffer text = {0};
        for (size_t e = 0; e < run->history.count; e++)
            history_text_append(run->history.entries[e].event, &text);
        run_destroy(run);
        const char *copy = arena_strdup(&fixture->arena, buffer_text(&text));
        buffer_fini(&text);
        return copy;
    }
    fail_msg("no run of workflow id %s was written", workflow_id);
    return NULL;
}
