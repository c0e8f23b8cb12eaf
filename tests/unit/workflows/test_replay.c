/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_replay: histories that a fleet of release 0.1.0 wrote (tests/golden/histories, made with
 * `argosy workflow show ID --output json`) must replay for ever: runs that are under way survive an
 * upgrade. A change that fails here needs a new workflow type, or a versioned branch.
 */
#include <argosy/replay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"
#include "workflows/shipped.h"

static struct argosy_registry *registry;
static const struct shipped_context context;

static int registry_setup(void **state)
{
    (void)state;
    registry = argosy_registry_create();
    return registry != NULL ? shipped_register(registry, &context, NULL) : -1;
}

static int registry_teardown(void **state)
{
    (void)state;
    argosy_registry_destroy(registry);
    return 0;
}

/* The file's text; the caller frees it. */
static char *golden_read(const char *name)
{
    char path[4096];
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof(path), "%s/tests/golden/histories/%s.json", root != NULL ? root : ".",
             name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    size_t size = 0;
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    fclose(file);
    return text;
}

static void saved_histories_replay(void **state)
{
    (void)state;
    static const char *const names[] = {
        "infer",  "infer-blank", "embed",          "embed-blank", "ingest",         "ingest-empty",
        "search", "finetune",    "finetune-unfit", "eval",        "eval-regression"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *history = golden_read(names[i]);
        struct argosy_error err = {0};
        if (argosy_replay_history(registry, history, &err) != 0)
            fail_msg("%s: %s", names[i], err.text);
        free(history);
    }
}

static void another_step_is_found(void **state)
{
    (void)state;
    char *history = golden_read("infer");
    struct argosy_error err = {0};
    char *step = strstr(history, "\"name\": \"preprocess\"");
    assert_non_null(step);
    memcpy(step, "\"name\": \"PREPROCESS\"", strlen("\"name\": \"PREPROCESS\""));
    assert_int_equal(argosy_replay_history(registry, history, &err), ARGOSY_ERR_NONDETERMINISM);
    assert_non_null(strstr(err.text, "preprocess"));
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_histories_replay),
        cmocka_unit_test(another_step_is_found),
    };
    return cmocka_run_group_tests(tests, registry_setup, registry_teardown);
}
