/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of argosy/factory.h with libargosy alone, as a user's program has it, and the real engine
 * on a thread of this program.
 */
#include <argosy/argosy.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/sdk/engine_fixture.h"

struct fixture {
    struct engine_fixture engine;
    struct argosy_client *client;
    struct argosy_arena *arena;
    char path[128];
};

static void config_write(const struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct argosy_factory *factory_open(const struct fixture *fixture, const char *text)
{
    struct argosy_factory *factory = NULL;
    struct argosy_error err = {0};
    config_write(fixture, text);
    if (argosy_factory_open(fixture->path, &factory, &err) != 0)
        fail_msg("%s", err.text);
    return factory;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    engine_fixture_start(&fixture->engine, false);
    fixture->client = fixture_client(&fixture->engine);
    fixture->arena = argosy_arena_create();
    snprintf(fixture->path, sizeof fixture->path, "%s/fleet.yaml", fixture->engine.folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->path);
    argosy_client_close(fixture->client);
    argosy_arena_destroy(fixture->arena);
    engine_fixture_stop(&fixture->engine);
    free(fixture);
    return 0;
}

#define JOB                                                                                        \
    "factory:\n"                                                                                   \
    "- name: job\n"                                                                                \
    "  type: JobWorkflow\n"                                                                        \
    "  task_queue: job-queue\n"                                                                    \
    "  id: job-{job_id}\n"                                                                         \
    "  priority: 2\n"                                                                              \
    "  run_timeout_s: 90\n"                                                                        \
    "  input:\n"                                                                                   \
    "    type: object\n"                                                                           \
    "    properties: {job_id: {type: [string, integer]}, note: {type: string}}\n"                  \
    "    required: [job_id]\n"                                                                     \
    "    additionalProperties: false\n"

static void a_config_of_ones_own_adds_to_what_is_built_in(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory = factory_open(fixture, JOB);
    const char *text;
    assert_int_equal(argosy_factory_list(factory, fixture->arena, &text, NULL), 0);
    json_t *list = json_loads(text, 0, NULL);
    const json_t *workflows = json_object_get(list, "workflows");
    const json_t *last = json_array_get(workflows, json_array_size(workflows) - 1);
    const json_t *first = json_array_get(workflows, 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "infer");
    assert_string_equal(json_string_value(json_object_get(last, "name")), "job");
    assert_string_equal(json_string_value(json_object_get(last, "task_queue")), "job-queue");
    json_decref(list);

    assert_int_equal(argosy_factory_show(factory, "job", fixture->arena, &text, NULL), 0);
    json_t *job = json_loads(text, 0, NULL);
    json_t *schema =
        json_loads("{\"type\": \"object\", \"properties\": {\"job_id\": {\"type\": [\"string\", "
                   "\"integer\"]}, \"note\": {\"type\": \"string\"}}, \"required\": [\"job_id\"], "
                   "\"additionalProperties\": false}",
                   0, NULL);
    assert_true(json_equal(json_object_get(job, "input"), schema));
    json_decref(schema);
    json_decref(job);
    argosy_factory_close(factory);
}

static void a_wrong_name_is_told_the_nearest(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory;
    struct argosy_factory_run run = {0};
    struct argosy_error err = {0};
    assert_int_equal(argosy_factory_open(NULL, &factory, &err), 0);
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "infre", "\"hello\"", &run, &err),
        ARGOSY_ERR_NOT_FOUND);
    assert_string_equal(err.text, "no workflow is called \"infre\" (did you mean \"infer\"?)");
    assert_string_equal(run.workflow_id, "");
    argosy_factory_close(factory);
}

static size_t open_runs(const struct fixture *fixture)
{
    const char *text;
    struct argosy_error err;
    if (argosy_client_call(fixture->client, "CountWorkflowExecutions", "{}", fixture->arena, &text,
                           &err) != 0)
        fail_msg("%s", err.text);
    json_t *reply = json_loads(text, 0, NULL);
    const char *count = json_string_value(json_object_get(reply, "count"));
    size_t runs = count != NULL ? (size_t)atoi(count) : 0;
    json_decref(reply);
    return runs;
}

static void a_wrong_input_starts_nothing(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *input;
        const char *problem;
    } cases[] = {
        {"{}", "$: member \"job_id\" is missing"},
        {"{\"job_id\": 1.5}", "$.job_id: expected integer or string, got number"},
        {"{\"job_id\": 1, \"nte\": \"x\"}", "$.nte: unknown member (did you mean \"note\"?)"},
        {"{\"job_id\": \"\"}", "$.job_id: is empty, but \"job-{job_id}\" needs it"},
        {"{\"job_id\": \"a\\nb\"}",
         "$.job_id: has a control character, but \"job-{job_id}\" needs it"},
        {"{", "the input is not JSON: line 1, column 1: string or '}' expected near end of file"},
    };
    struct argosy_factory *factory = factory_open(fixture, JOB);
    size_t before = open_runs(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argosy_factory_run run;
        struct argosy_error err = {0};
        assert_int_equal(
            argosy_factory_start(factory, fixture->client, "job", cases[i].input, &run, &err),
            ARGOSY_ERR_INVALID);
        assert_string_equal(err.text, cases[i].problem);
    }
    assert_int_equal(open_runs(fixture), before);
    argosy_factory_close(factory);
}

static void prepare_says_what_would_be_started(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory = factory_open(fixture, JOB);
    struct argosy_start_options options = {0};
    assert_int_equal(
        argosy_factory_prepare(factory, "job", "{\"job_id\": 7}", fixture->arena, &options, NULL),
        0);
    argosy_factory_close(factory); /* what it gave lives in the arena */
    assert_string_equal(options.workflow_id, "job-7");
    assert_string_equal(options.workflow_type, "JobWorkflow");
    assert_string_equal(options.task_queue, "job-queue");
    assert_int_equal(options.run_timeout_ms, 90000);
    assert_int_equal(options.priority, 2);
    assert_null(options.retry_policy);
    assert_int_equal(options.id_conflict_policy, ARGOSY_CONFLICT_USE_EXISTING);
    assert_int_equal(options.input.count, 1);
    assert_memory_equal(options.input.items[0].data, "{\"job_id\": 7}", 13);
}

static void a_repeated_request_is_the_same_run(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory = factory_open(fixture, JOB);
    struct argosy_factory_run first, second, other;
    struct argosy_error err = {0};
    if (argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"same\"}", &first,
                             &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"same\"}",
                                          &second, &err),
                     0);
    assert_int_equal(argosy_factory_start(factory, fixture->client, "job",
                                          "{\"job_id\": \"other\"}", &other, &err),
                     0);
    assert_string_equal(first.workflow_id, "job-same");
    assert_string_equal(first.run_id, second.run_id);
    assert_string_not_equal(first.run_id, other.run_id);
    argosy_factory_close(factory);
}

static void a_run_of_a_uuid_is_new_each_time(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory;
    struct argosy_factory_run first, second;
    assert_int_equal(argosy_factory_open(NULL, &factory, NULL), 0);
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "infer", "\"hello\"", &first, NULL), 0);
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "infer", "\"hello\"", &second, NULL), 0);
    assert_memory_equal(first.workflow_id, "infer-", 6);
    assert_int_equal(strlen(first.workflow_id), 6 + 36);
    assert_string_not_equal(first.workflow_id, second.workflow_id);
    argosy_factory_close(factory);
}

#define REF                                                                                        \
    "{\"artifact\": \"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", " \
    "\"size\": 7}"

/* id: the workflow id, or its beginning where a uuid ends it; NULL: the input is refused. */
static void built_in_entries_take_what_their_workflows_take(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *name, *input, *id;
    } cases[] = {
        {"infer", "\"a text\"", "infer-"},
        {"infer", "{\"text\": \"a text\", \"model\": \"mine@3\"}", "infer-"},
        {"infer", "{\"model\": \"mine\"}", NULL},
        {"embed", "[\"one\", \"two\"]", "embed-"},
        {"embed", "[\"one\", 2]", NULL},
        {"embed-file", "{\"input\": " REF "}", "embed-file-"},
        {"embed-file",
         "{\"input\": " REF ", \"format\": \"safetensors\", \"model\": \"mine\", "
         "\"part_texts\": 1000000, \"parallel\": 64}",
         "embed-file-"},
        {"embed-file", "{\"input\": " REF ", \"format\": \"csv\"}", NULL},
        {"embed-file", "{\"input\": " REF ", \"parallel\": 65}", NULL},
        {"embed-file", "{\"format\": \"npy\"}", NULL},
        {"ingest", "{\"document_id\": \"a.md\", \"collection\": \"c\", \"source\": " REF "}",
         "ingest-a.md"},
        {"ingest",
         "{\"document_id\": \"a\", \"collection\": \"c\", \"source\": " REF
         ", \"metadata\": {\"n\": 1, \"deep\": {}}}",
         NULL},
        {"search", "{\"collection\": \"c\", \"question\": \"why?\", \"k\": 5}", "search-"},
        {"search", "{\"collection\": \"c\", \"question\": \"why?\", \"k\": 0}", NULL},
        {"finetune", "{\"job_id\": \"j1\", \"name\": \"mine\", \"dataset\": " REF "}",
         "finetune-j1"},
        {"finetune",
         "{\"job_id\": \"j1\", \"name\": \"mine\", \"dataset\": {\"train\": " REF
         ", \"held_out\": " REF "}, \"training\": {\"epochs\": 3}}",
         "finetune-j1"},
        {"finetune", "{\"name\": \"mine\", \"dataset\": " REF "}", NULL},
        {"eval", "{\"suite\": \"s\", \"model\": \"mine@2\", \"cases\": " REF "}", "eval-s-mine@2"},
        {"eval",
         "{\"suite\": \"s\", \"model\": \"m\", \"cases\": " REF ", \"baseline\": {\"report\": " REF
         "}, \"minimum\": {\"accuracy\": 0.9}}",
         "eval-s-m"},
        {"eval",
         "{\"suite\": \"s\", \"model\": \"m\", \"cases\": " REF
         ", \"minimum\": {\"accuracy\": \"high\"}}",
         NULL},
    };
    struct argosy_factory *factory;
    assert_int_equal(argosy_factory_open(NULL, &factory, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argosy_start_options options;
        struct argosy_error err = {0};
        int code = argosy_factory_prepare(factory, cases[i].name, cases[i].input, fixture->arena,
                                          &options, &err);
        if (cases[i].id == NULL) {
            assert_int_equal(code, ARGOSY_ERR_INVALID);
            continue;
        }
        if (code != 0)
            fail_msg("%s: %s", cases[i].name, err.text);
        size_t length = strlen(cases[i].id);
        assert_memory_equal(options.workflow_id, cases[i].id, length);
        assert_int_equal(strlen(options.workflow_id),
                         length + (cases[i].id[length - 1] == '-' ? 36 : 0));
    }
    argosy_factory_close(factory);
}

/* ---- with a worker ---- */

/* Fails until its third attempt; the attempts are counted here, in the test's process. */
static atomic_int flaky_attempts;

static int flaky(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)workflow, (void)user_data;
    int attempt = ++flaky_attempts;
    if (attempt < 3)
        return argosy_error_set(err, ARGOSY_ERR_UNAVAILABLE, "attempt %d", attempt);
    *ret_result = argosy_payload_json("\"third time lucky\"");
    return 0;
}

static void a_workflow_is_retried_and_waited_for(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_registry *registry = argosy_registry_create();
    assert_int_equal(argosy_registry_add_workflow(registry, "Flaky", flaky, NULL, NULL), 0);
    static struct argosy_worker_queue queue = {.name = "flaky-queue", .slots = 4};
    struct fixture_worker worker;
    fixture_worker_start(&worker, &fixture->engine, registry,
                         (struct argosy_worker_options){.queues = &queue, .queue_count = 1});
    struct argosy_factory *factory =
        factory_open(fixture, "factory:\n"
                              "- {name: flaky, type: Flaky, task_queue: flaky-queue, id: flaky-1,\n"
                              "   id_reuse_policy: use_completed,\n"
                              "   retry: {maximum_attempts: 3, initial_interval_ms: 10}}\n");
    struct argosy_factory_run run, again;
    struct argosy_error err = {0};
    struct argosy_payload result;
    assert_int_equal(argosy_factory_start(factory, fixture->client, "flaky", "null", &run, &err),
                     0);
    if (argosy_client_result(fixture->client, run.workflow_id, run.run_id, 20000, fixture->arena,
                             &result, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(argosy_payload_text(&result, fixture->arena), "\"third time lucky\"");
    assert_int_equal(flaky_attempts, 3);
    /* use_completed: the completed run is the answer, nothing is started */
    if (argosy_factory_start(factory, fixture->client, "flaky", "null", &again, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(again.workflow_id, "flaky-1");
    assert_int_equal(argosy_client_result(fixture->client, again.workflow_id, again.run_id, 20000,
                                          fixture->arena, &result, &err),
                     0);
    assert_int_equal(flaky_attempts, 3);
    argosy_factory_close(factory);
    fixture_worker_stop(&worker, 1000);
    argosy_registry_destroy(registry);
}

static void a_full_group_refuses_with_the_ids(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory =
        factory_open(fixture, JOB "  concurrency: {key: 'jobs', limit: 2}\n");
    struct argosy_factory_run run;
    struct argosy_error err = {0};
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"x\"}", &run, &err),
        0);
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"y\"}", &run, &err),
        0);
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"z\"}", &run, &err),
        ARGOSY_ERR_LIMIT);
    assert_string_equal(err.text, "2 of at most 2 runs of \"jobs\" are open: job-x, job-y");
    /* a repeated request is no further run */
    assert_int_equal(
        argosy_factory_start(factory, fixture->client, "job", "{\"job_id\": \"y\"}", &run, &err),
        0);
    argosy_factory_close(factory);
}

/* ---- reloading ---- */

static void a_broken_file_keeps_the_registry(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory = factory_open(fixture, JOB);
    struct argosy_error err = {0};
    const char *text;
    config_write(fixture, JOB "  idd: x\n");
    assert_int_equal(argosy_factory_reload(factory, &err), ARGOSY_ERR_CONFIG);
    assert_non_null(strstr(err.text, "fleet.yaml:13: factory[0].idd: unknown key (did you mean "
                                     "\"id\"?)"));
    assert_int_equal(argosy_factory_show(factory, "job", fixture->arena, &text, &err), 0);
    unlink(fixture->path);
    assert_int_equal(argosy_factory_reload(factory, &err), ARGOSY_ERR_NOT_FOUND);
    assert_int_equal(argosy_factory_show(factory, "job", fixture->arena, &text, &err), 0);
    config_write(fixture, "factory:\n- {name: later, type: LaterWorkflow}\n");
    assert_int_equal(argosy_factory_reload(factory, &err), 0);
    assert_int_equal(argosy_factory_show(factory, "later", fixture->arena, &text, &err), 0);
    assert_int_equal(argosy_factory_show(factory, "job", fixture->arena, &text, &err),
                     ARGOSY_ERR_NOT_FOUND);
    argosy_factory_close(factory);
}

#define ROUNDS 200

static void *prepare_many(void *arg)
{
    struct argosy_factory *factory = arg;
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_start_options options;
    for (int i = 0; i < ROUNDS; i++) {
        if (argosy_factory_prepare(factory, "job", "{\"job_id\": 7}", arena, &options, NULL) != 0 ||
            strcmp(options.workflow_id, "job-7") != 0)
            abort();
    }
    argosy_arena_destroy(arena);
    return NULL;
}

static void threads_use_it_while_it_is_reloaded(void **state)
{
    const struct fixture *fixture = *state;
    struct argosy_factory *factory = factory_open(fixture, JOB);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, prepare_many, factory), 0);
    for (int i = 0; i < ROUNDS / 4; i++)
        assert_int_equal(argosy_factory_reload(factory, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    argosy_factory_close(factory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_of_ones_own_adds_to_what_is_built_in),
        cmocka_unit_test(a_wrong_name_is_told_the_nearest),
        cmocka_unit_test(a_wrong_input_starts_nothing),
        cmocka_unit_test(prepare_says_what_would_be_started),
        cmocka_unit_test(a_repeated_request_is_the_same_run),
        cmocka_unit_test(a_run_of_a_uuid_is_new_each_time),
        cmocka_unit_test(built_in_entries_take_what_their_workflows_take),
        cmocka_unit_test(a_workflow_is_retried_and_waited_for),
        cmocka_unit_test(a_full_group_refuses_with_the_ids),
        cmocka_unit_test(a_broken_file_keeps_the_registry),
        cmocka_unit_test(threads_use_it_while_it_is_reloaded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
