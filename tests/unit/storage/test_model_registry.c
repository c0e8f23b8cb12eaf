/* SPDX-License-Identifier: Apache-2.0 */
/* model_registry: what storage/model_registry.h promises its callers, over a real socket. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/model_registry.h"
#include "tests/unit/storage/storage_fixture.h"

static struct storage_fixture fixture;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    fixture_open(&fixture, "");
    arena_init(&arena, ARENA_NO_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    fixture_close(&fixture);
    return 0;
}

/* A model with two files of its own. */
static struct registered_model make_model(const char *name, struct model_file files[2])
{
    assert_int_equal(artifact_put_bytes(fixture.client, name, strlen(name), "workflow:w",
                                        &files[0].artifact, NULL),
                     0);
    assert_int_equal(
        artifact_put_bytes(fixture.client, "{}", 2, "workflow:w", &files[1].artifact, NULL), 0);
    files[0].name = "head.safetensors";
    files[1].name = "head.json";
    return (struct registered_model){.name = name,
                                     .kind = "text-classification-head",
                                     .base = "all-MiniLM-L6-v2",
                                     .metadata = "{\"accuracy\": 0.9}",
                                     .files = files,
                                     .file_count = 2};
}

static uint32_t add(const char *name, const char *registration)
{
    struct model_file files[2];
    struct registered_model model = make_model(name, files);
    struct error err = {0};
    uint32_t version;
    if (model_register(fixture.client, &model, registration, &version, &err) != 0)
        fail_msg("%s", err.text);
    return version;
}

static void versions_count_up_and_registrations_count_once(void **state)
{
    (void)state;
    assert_int_equal(add("mood", "run-1"), 1);
    assert_int_equal(add("mood", "run-2"), 2);
    assert_int_equal(add("mood", "run-1"), 1);
    assert_int_equal(add("other", "run-1"), 1);
    const struct registered_model *model;
    assert_int_equal(model_get(fixture.client, "mood", &arena, &model, NULL), 0);
    assert_int_equal(model->version, 2);
    assert_int_equal(model_get(fixture.client, "mood@1", &arena, &model, NULL), 0);
    assert_int_equal(model->version, 1);
    assert_string_equal(model->kind, "text-classification-head");
    assert_string_equal(model->base, "all-MiniLM-L6-v2");
    assert_string_equal(model->metadata, "{\"accuracy\": 0.9}");
    assert_int_equal(model->file_count, 2);
    assert_string_equal(model->files[0].name, "head.json");
    assert_int_equal(model->files[1].artifact.size, 4);
    assert_true(model->registered_utc_us > 0);
}

static void numbers_are_not_given_twice(void **state)
{
    (void)state;
    add("mood", "run-1");
    assert_int_equal(add("mood", "run-2"), 2);
    assert_int_equal(model_unregister(fixture.client, "mood", 2, NULL), 0);
    assert_int_equal(model_unregister(fixture.client, "mood", 2, NULL), 0); /* a repeated call */
    assert_int_equal(model_unregister(fixture.client, "mood", 3, NULL), ERR_NOT_FOUND);
    assert_int_equal(model_unregister(fixture.client, "mood", 0, NULL), ERR_NOT_FOUND);
    fixture_stop(&fixture);
    fixture_start(&fixture);
    assert_int_equal(add("mood", "run-3"), 3);
    const struct registered_model *model;
    struct error err = {0};
    assert_int_equal(model_get(fixture.client, "mood@2", &arena, &model, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "model mood has no version 2");
}

static void a_misspelt_name_gets_the_nearest(void **state)
{
    (void)state;
    add("sentiment", "run-1");
    const struct registered_model *model;
    struct error err = {0};
    assert_int_equal(model_get(fixture.client, "sentimnet", &arena, &model, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no model sentimnet is registered (did you mean \"sentiment\"?)");
    assert_int_equal(model_get(fixture.client, "x/y", &arena, &model, &err), ERR_INVALID);
    assert_int_equal(model_get(fixture.client, "sentiment@0", &arena, &model, &err), ERR_INVALID);
    assert_int_equal(model_get(fixture.client, "sentiment@", &arena, &model, &err), ERR_INVALID);
    assert_int_equal(model_get(fixture.client, "sentiment@-1", &arena, &model, &err), ERR_INVALID);
}

static void the_list_has_every_page(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%02d", i / 3);
        char registration[32];
        snprintf(registration, sizeof registration, "run-%d", i);
        add(name, registration);
    }
    const struct registered_model *models;
    size_t count;
    assert_int_equal(model_list(fixture.client, &arena, &models, &count, NULL), 0);
    assert_int_equal(count, 30);
    for (size_t i = 1; i < count; i++) {
        int order = strcmp(models[i - 1].name, models[i].name);
        assert_true(order < 0 || (order == 0 && models[i - 1].version < models[i].version));
    }
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    struct model_file files[2];
    const struct registered_model good = make_model("mood", files);
    struct error err = {0};
    uint32_t version = 77;
    struct registered_model bad = good;
    bad.name = "a b";
    assert_int_equal(model_register(fixture.client, &bad, "r", &version, &err), ERR_INVALID);
    bad = good;
    bad.kind = "";
    assert_int_equal(model_register(fixture.client, &bad, "r", &version, &err), ERR_INVALID);
    bad = good;
    bad.metadata = "[1]";
    assert_int_equal(model_register(fixture.client, &bad, "r", &version, &err), ERR_INVALID);
    bad = good;
    bad.file_count = 0;
    assert_int_equal(model_register(fixture.client, &bad, "r", &version, &err), ERR_INVALID);
    assert_int_equal(model_register(fixture.client, &good, "", &version, &err), ERR_INVALID);
    files[1].name = "../x";
    assert_int_equal(model_register(fixture.client, &good, "r", &version, &err), ERR_INVALID);
    files[1].name = "head.safetensors";
    assert_int_equal(model_register(fixture.client, &good, "r", &version, &err), ERR_INVALID);
    files[1].name = "head.json";
    files[1].artifact.id[10] = files[1].artifact.id[10] == '0' ? '1' : '0';
    assert_int_equal(model_register(fixture.client, &good, "r", &version, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "head.json: storage has no artifact"));
    assert_int_equal(version, 77);
    /* Nothing of it is there, and its number was not taken. */
    assert_int_equal(add("mood", "r"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions_count_up_and_registrations_count_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(numbers_are_not_given_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_misspelt_name_gets_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(the_list_has_every_page, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_model_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
