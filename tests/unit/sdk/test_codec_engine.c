/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs in clients and workers of the real engine: nothing readable reaches the store, replay does
 * not mind that bytes differ, and who lacks a key loses nothing.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/sdk/engine_fixture.h"

#define QUEUE  "codec-queue"
#define MARKER "PLAINTEXT-MARKER"

static struct engine_fixture engine;
static struct argosy_registry *registry;
static struct argosy_arena *arena;
static struct argosy_codecs *codecs;
static char key_file[160];
static struct gate gate;

static struct argosy_codecs *codecs_with_key(const char *name)
{
    char id[ARGOSY_CODEC_KEY_ID_SIZE];
    snprintf(key_file, sizeof key_file, "%s/%s", engine.folder, name);
    struct argosy_codecs *chain = argosy_codecs_create();
    struct argosy_error err = {0};
    if (argosy_codec_key_create(key_file, NULL, id, &err) < 0 ||
        argosy_codecs_add_zstd(chain, NULL, &err) < 0 ||
        argosy_codecs_add_aes_gcm(chain, (const char *[]){key_file}, 1, &err) < 0)
        fail_msg("%s", err.text);
    return chain;
}

static int setup(void **state)
{
    (void)state;
    engine_fixture_start(&engine, true);
    registry = argosy_registry_create();
    arena = argosy_arena_create();
    codecs = codecs_with_key("codec.key");
    gate_init(&gate);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    argosy_codecs_destroy(codecs);
    argosy_arena_destroy(arena);
    argosy_registry_destroy(registry);
    engine_fixture_stop(&engine);
    gate_fini(&gate);
    return 0;
}

static struct argosy_client *connect_with(const struct argosy_codecs *chain)
{
    struct argosy_client *client;
    struct argosy_error err = {0};
    if (argosy_client_connect(
            &(struct argosy_connection_options){.endpoint = engine.address, .codecs = chain},
            &client, &err) < 0)
        fail_msg("%s", err.text);
    return client;
}

static struct argosy_worker_options options_of(const struct argosy_codecs *chain)
{
    static const struct argosy_worker_queue queue = {.name = QUEUE, .slots = 4};
    return (struct argosy_worker_options){
        .queues = &queue, .queue_count = 1, .connection.codecs = chain};
}

static void start(struct argosy_client *client, const char *id, const char *type)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    struct argosy_start_options options = {
        .workflow_id = id,
        .workflow_type = type,
        .task_queue = QUEUE,
        .input = ARGOSY_PAYLOADS(argosy_payload_json("\"" MARKER " input\""))};
    if (argosy_client_start(client, &options, run_id, &err) < 0)
        fail_msg("%s", err.text);
}

static int result_of(struct argosy_client *client, const char *id, const char **ret_text,
                     struct argosy_error *err)
{
    struct argosy_payload result;
    int code = argosy_client_result(client, id, NULL, 60000, arena, &result, err);
    if (code == 0)
        *ret_text = argosy_payload_text(&result, arena);
    return code;
}

/* Asks describe until its answer holds text: what a worker does is seen there. */
static void wait_described(struct argosy_client *client, const char *id, const char *text)
{
    const char *json;
    time_t end = time(NULL) + 20;
    do {
        assert_true(time(NULL) < end);
        assert_int_equal(argosy_client_describe(client, id, NULL, arena, &json, NULL), 0);
    } while (strstr(json, text) == NULL);
}

static void wait_in_history(struct argosy_client *client, const char *id, const char *text)
{
    const char *json;
    time_t end = time(NULL) + 20;
    do {
        assert_true(time(NULL) < end);
        assert_int_equal(argosy_client_history(client, id, NULL, arena, &json, NULL), 0);
    } while (strstr(json, text) == NULL);
}

/* Files of the store that hold the marker; the engine must be paused. */
static int files_with_marker(void)
{
    int count = 0;
    DIR *entries = opendir(engine.folder);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", engine.folder, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue; /* a socket */
        static char bytes[16 << 20];
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        if (memmem(bytes, size, MARKER, strlen(MARKER)) != NULL)
            count++;
    }
    closedir(entries);
    return count;
}

/* ---- a workflow that says the marker wherever it can ---- */

static int reveal(struct argosy_activity *activity, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_arena *memory = argosy_activity_arena(activity);
    struct argosy_payload beat = argosy_payload_json("\"" MARKER " heartbeat\"");
    const char *text;
    int code = argosy_payload_get_string(argosy_activity_input(activity), memory, &text, err);
    if (code < 0)
        return code;
    if (argosy_activity_info(activity)->attempt == 1) {
        argosy_activity_heartbeat(activity, &beat);
        return argosy_failure_raise(
            memory,
            &(struct argosy_failure_options){
                .type = "Revealed",
                .message = MARKER " message",
                .details = ARGOSY_PAYLOADS(argosy_payload_json("\"" MARKER " details\""))},
            err);
    }
    const struct argosy_payload *last = argosy_activity_last_heartbeat(activity);
    return argosy_payload_pack(memory, ret_result, err, "{s:s, s:s}", "input", text, "heartbeat",
                               argosy_payload_text(last, memory));
}

static int answer(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                  void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input, (void)user_data, (void)err;
    *ret_answer = *argosy_workflow_input(workflow);
    return 0;
}

static int tell(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_payload revealed, signal;
    argosy_query_handle(workflow, "input", answer, NULL);
    int code = argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "reveal",
                                          .input = argosy_workflow_inputs(workflow),
                                          .start_to_close_timeout_ms = 20000,
                                          .heartbeat_timeout_ms = 20000,
                                          .retry_policy = {.initial_interval_ms = 10}},
        &revealed, err);
    if (code == 0)
        code = argosy_signal_receive(workflow, "go", -1, &signal, err);
    if (code < 0)
        return code;
    const char *text;
    code = argosy_payload_get_string(&signal, argosy_workflow_arena(workflow), &text, err);
    if (code == 0 && strcmp(text, MARKER " fail") == 0)
        return argosy_error_set(err, ARGOSY_ERR_RANGE, "%s", text);
    *ret_result = revealed;
    return code;
}

static void signal_run(struct argosy_client *client, const char *id, const char *text)
{
    struct argosy_error err = {0};
    struct argosy_payload payload = argosy_payload_string(arena, text);
    if (argosy_client_signal(client, id, NULL, "go", ARGOSY_PAYLOADS(payload), &err) < 0)
        fail_msg("%s", err.text);
}

/* Two runs, "good" and "bad", from one worker to another: the second replays what the first did. */
static void tell_all(const struct argosy_codecs *chain)
{
    struct argosy_error err = {0};
    struct argosy_payload query;
    const char *text = NULL;
    argosy_registry_add_workflow(registry, "Tell", tell, NULL, NULL);
    argosy_registry_add_activity(registry, "reveal", reveal, NULL, NULL);
    struct argosy_client *client = connect_with(chain);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(chain));
    start(client, "good", "Tell");
    start(client, "bad", "Tell");
    wait_in_history(client, "good", "ACTIVITY_TASK_COMPLETED");
    wait_in_history(client, "bad", "ACTIVITY_TASK_COMPLETED");
    fixture_worker_stop(&worker, 5000);
    fixture_worker_start(&worker, &engine, registry, options_of(chain));
    if (argosy_client_query(client, "good", NULL, "input", (struct argosy_payloads){0}, arena,
                            &query, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(argosy_payload_text(&query, arena), "\"" MARKER " input\"");
    signal_run(client, "good", MARKER " go");
    signal_run(client, "bad", MARKER " fail");
    if (result_of(client, "good", &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(text, "{\"input\":\"" MARKER " input\",\"heartbeat\":\"\\\"" MARKER
                              " heartbeat\\\"\"}");
    assert_int_equal(result_of(client, "bad", &text, &err), ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, MARKER " fail");
    assert_string_equal(argosy_failure_type(err.failure), "ERR_RANGE");
    const char *history;
    assert_int_equal(argosy_client_history(client, "bad", NULL, arena, &history, NULL), 0);
    assert_non_null(strstr(history, MARKER " fail"));
    assert_null(strstr(history, "WORKFLOW_TASK_FAILED"));
    assert_int_equal(argosy_replay_history(registry, history, &err), 0);
    fixture_worker_stop(&worker, 5000);
    argosy_client_close(client);
}

static void test_store_holds_nothing_readable(void **state)
{
    (void)state;
    tell_all(codecs);
    struct argosy_client *stranger = connect_with(NULL);
    const char *history;
    assert_int_equal(argosy_client_history(stranger, "bad", NULL, arena, &history, NULL), 0);
    assert_null(strstr(history, MARKER));
    assert_non_null(strstr(history, "Encoded failure"));
    argosy_client_close(stranger);
    engine_fixture_pause(&engine);
    assert_int_equal(files_with_marker(), 0);
}

/* The same without codecs: the test before would notice. */
static void test_store_is_readable_without(void **state)
{
    (void)state;
    tell_all(NULL);
    engine_fixture_pause(&engine);
    assert_true(files_with_marker() > 0);
}

/* ---- missing keys ---- */

static void test_workflow_waits_for_a_worker_with_the_key(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    const char *text = NULL;
    argosy_registry_add_workflow(registry, "Tell", tell, NULL, NULL);
    argosy_registry_add_activity(registry, "reveal", reveal, NULL, NULL);
    struct argosy_codecs *other = codecs_with_key("other.key");
    struct argosy_client *client = connect_with(codecs);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(other));
    start(client, "waits", "Tell");
    wait_in_history(client, "waits",
                    "codec \\\"aes-gcm\\\" could not decode a payload: there is "
                    "no key ");
    fixture_worker_stop(&worker, 5000);
    fixture_worker_start(&worker, &engine, registry, options_of(codecs));
    signal_run(client, "waits", "go");
    if (result_of(client, "waits", &text, &err) < 0)
        fail_msg("%s", err.text);
    /* A client without the key gets an error, not bytes. */
    struct argosy_client *stranger = connect_with(other);
    assert_int_equal(result_of(stranger, "waits", &text, &err), ARGOSY_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "codec \"aes-gcm\" could not decode a payload: there is no "
                                     "key "));
    argosy_client_close(stranger);
    fixture_worker_stop(&worker, 5000);
    argosy_client_close(client);
    argosy_codecs_destroy(other);
}

static void test_activity_waits_for_a_worker_with_the_key(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    const char *text = NULL;
    argosy_registry_add_workflow(registry, "Tell", tell, NULL, NULL);
    argosy_registry_add_activity(registry, "reveal", reveal, NULL, NULL);
    struct argosy_codecs *other = codecs_with_key("other.key");
    struct argosy_client *client = connect_with(codecs);
    struct argosy_worker_options flows = options_of(codecs), work = options_of(other);
    flows.without_activities = true;
    work.without_workflows = true;
    struct fixture_worker flow_worker, worker;
    fixture_worker_start(&flow_worker, &engine, registry, flows);
    fixture_worker_start(&worker, &engine, registry, work);
    start(client, "waits", "Tell");
    wait_described(client, "waits", "PayloadCodec");
    fixture_worker_stop(&worker, 5000);
    work.connection.codecs = codecs;
    fixture_worker_start(&worker, &engine, registry, work);
    signal_run(client, "waits", "go");
    if (result_of(client, "waits", &text, &err) < 0)
        fail_msg("%s", err.text);
    fixture_worker_stop(&worker, 5000);
    fixture_worker_stop(&flow_worker, 5000);
    argosy_client_close(client);
    argosy_codecs_destroy(other);
}

/* ---- a codec that cannot encode ---- */

static atomic_int failures_left;

static int encode_later(void *user_data, const struct argosy_payload *payload,
                        struct argosy_arena *in, struct argosy_payload *ret_payload,
                        struct argosy_error *err)
{
    (void)user_data, (void)payload, (void)in, (void)ret_payload;
    if (atomic_fetch_sub(&failures_left, 1) > 0)
        return argosy_error_set(err, ARGOSY_ERR_UNAVAILABLE, "the vault is away");
    return ARGOSY_CODEC_KEPT;
}

static int decode_nothing(void *user_data, const struct argosy_payload *payload,
                          struct argosy_arena *in, struct argosy_payload *ret_payload,
                          struct argosy_error *err)
{
    (void)user_data, (void)payload, (void)in, (void)ret_payload, (void)err;
    return ARGOSY_CODEC_KEPT;
}

static int say(struct argosy_activity *activity, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)activity, (void)user_data, (void)err;
    *ret_result = argosy_payload_json("\"said\"");
    return 0;
}

static int say_twice(struct argosy_workflow *workflow, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "say",
                                          .input = ARGOSY_PAYLOADS(argosy_payload_json("1")),
                                          .start_to_close_timeout_ms = 20000,
                                          .retry_policy = {.initial_interval_ms = 10}},
        ret_result, err);
}

/* The first workflow task cannot encode its command; then two attempts of the activity cannot
 * encode their result, nor can the first of them its failure's details. */
static void test_encoding_is_tried_again(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    const char *text = NULL;
    struct argosy_codecs *vault = argosy_codecs_create();
    assert_int_equal(argosy_codecs_add(vault,
                                       &(struct argosy_codec){.name = "vault",
                                                              .encode = encode_later,
                                                              .decode = decode_nothing},
                                       &err),
                     0);
    argosy_registry_add_workflow(registry, "SayTwice", say_twice, NULL, NULL);
    argosy_registry_add_activity(registry, "say", say, NULL, NULL);
    struct argosy_client *client = connect_with(NULL);
    struct argosy_worker_options flows = options_of(NULL), work = options_of(vault);
    flows.without_activities = true;
    work.without_workflows = true;
    struct fixture_worker flow_worker, worker;
    atomic_store(&failures_left, 2);
    fixture_worker_start(&flow_worker, &engine, registry, flows);
    fixture_worker_start(&worker, &engine, registry, work);
    start(client, "again", "SayTwice");
    if (result_of(client, "again", &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(text, "\"said\"");
    wait_in_history(client, "again",
                    "codec \\\"vault\\\" could not encode a payload: the vault is "
                    "away");
    fixture_worker_stop(&worker, 5000);
    fixture_worker_stop(&flow_worker, 5000);
    atomic_store(&failures_left, 1);
    fixture_worker_start(&worker, &engine, registry, options_of(vault));
    start(client, "flow", "SayTwice");
    wait_in_history(client, "flow", "could not encode a payload: the vault is away");
    fixture_worker_stop(&worker, 5000); /* what it left alone is another one's at once */
    fixture_worker_start(&worker, &engine, registry, options_of(vault));
    if (result_of(client, "flow", &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(text, "\"said\"");
    struct argosy_client *vault_client = connect_with(vault);
    atomic_store(&failures_left, 1);
    assert_int_equal(argosy_client_signal(vault_client, "flow", NULL, "go",
                                          ARGOSY_PAYLOADS(argosy_payload_json("1")), &err),
                     ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, "codec \"vault\" could not encode a payload: the vault is away");
    argosy_client_close(vault_client);
    fixture_worker_stop(&worker, 5000);
    argosy_client_close(client);
    argosy_codecs_destroy(vault);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_holds_nothing_readable),
        TEST(store_is_readable_without),
        TEST(workflow_waits_for_a_worker_with_the_key),
        TEST(activity_waits_for_a_worker_with_the_key),
        TEST(encoding_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
