/* SPDX-License-Identifier: Apache-2.0 */
/* Plug-ins: the example is loaded and run; what is no plug-in is refused by name. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sdk/engine_fixture.h"

static const char *plugin_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", getenv("ARGOSY_BUILD_DIR"), name);
    return path;
}

static int run_hello(const struct engine_fixture *engine, const char *id, const char *input,
                     struct argosy_arena *arena, const char **ret_text, struct argosy_error *err)
{
    struct argosy_client *client = fixture_client(engine);
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_start_options options = {
        .workflow_id = id,
        .workflow_type = "HelloWorkflow",
        .task_queue = "cpu-queue",
        .input = ARGOSY_PAYLOADS(argosy_payload_json(input)),
    };
    struct argosy_payload result = {0};
    int code = argosy_client_start(client, &options, run_id, err);
    if (code == 0)
        code = argosy_client_result(client, id, NULL, 20000, arena, &result, err);
    *ret_text = argosy_payload_text(&result, arena);
    argosy_client_close(client);
    return code;
}

static void test_hello(void **state)
{
    (void)state;
    struct engine_fixture engine;
    struct fixture_worker worker;
    struct argosy_error err = {0};
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_registry *registry = argosy_registry_create();
    if (argosy_registry_load_plugin(registry, plugin_path("plugins/hello.so"), &err) < 0)
        fail_msg("%s", err.text);
    engine_fixture_start(&engine, false);
    struct argosy_worker_queue queue = {.name = "cpu-queue", .slots = 2};
    struct argosy_worker_options options = {.queues = &queue, .queue_count = 1};
    fixture_worker_start(&worker, &engine, registry, options);
    const char *text;
    assert_int_equal(run_hello(&engine, "hello-1", "\"Ada\"", arena, &text, &err), 0);
    assert_string_equal(text, "\"Hello, Ada!\"");
    assert_int_equal(run_hello(&engine, "hello-2", "\"\"", arena, &text, &err), ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, "nobody to greet");
    fixture_worker_stop(&worker, 5000);
    engine_fixture_stop(&engine);
    argosy_registry_destroy(registry);
    argosy_arena_destroy(arena);
}

static void test_loaded_twice(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    struct argosy_registry *registry = argosy_registry_create();
    assert_int_equal(argosy_registry_load_plugin(registry, plugin_path("plugins/hello.so"), &err),
                     0);
    assert_int_equal(argosy_registry_load_plugin(registry, plugin_path("plugins/hello.so"), &err),
                     ARGOSY_ERR_EXISTS);
    assert_non_null(strstr(err.text, "activity type \"make_greeting\" is registered twice"));
    argosy_registry_destroy(registry);
}

static void test_no_plugin(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    struct argosy_registry *registry = argosy_registry_create();
    assert_int_equal(argosy_registry_load_plugin(registry, plugin_path("plugins/none.so"), &err),
                     ARGOSY_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none.so"));
    assert_int_equal(argosy_registry_load_plugin(registry, plugin_path("lib/libargosy.so"), &err),
                     ARGOSY_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "is no Argosy plug-in: it has no ARGOSY_PLUGIN"));
    /* A name without a slash is a file here, not one of the system's libraries. */
    assert_int_equal(argosy_registry_load_plugin(registry, "libm.so.6", &err),
                     ARGOSY_ERR_NOT_FOUND);
    char path[PATH_MAX];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(argosy_registry_load_plugin(registry, path, &err), ARGOSY_ERR_INVALID);
    argosy_registry_destroy(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_loaded_twice),
        cmocka_unit_test(test_no_plugin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
