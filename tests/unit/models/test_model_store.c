/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_store, model_synth, model_fetch: models appear whole or not at all, names cannot leave the
 * store, and each source's failure is told. No test here needs a network.
 */
#include "models/model_store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/file.h"
#include "models/model.h"
#include "models/model_fetch.h"
#include "models/model_synth.h"
#include "tests/test.h"

static char store[64];

static int setup(void **state)
{
    (void)state;
    strcpy(store, "/tmp/argosy-store-XXXXXX");
    unsetenv("ARGOSY_MODEL_SOURCE");
    return mkdtemp(store) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(store);
    return 0;
}

static const char *in_store(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", store, name);
    return path;
}

static void synth_tiny(const char *name, uint64_t seed)
{
    char path[PATH_MAX];
    struct error err;
    struct model_shape shape = MODEL_SHAPE_TINY;
    if (model_synth(in_store(name, path), &shape, seed, &err) != 0)
        fail_msg("%s", err.text);
}

static void names_cannot_leave_the_store(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "../x", "a b", "\xc3\xa9"};
    char path[MODEL_PATH_MAX];
    struct error err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(model_store_path(store, bad[i], path, &err), ERR_INVALID);
    char longest[MODEL_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[MODEL_NAME_MAX + 1] = '\0';
    assert_int_equal(model_store_path(store, longest, path, &err), ERR_INVALID);
    longest[MODEL_NAME_MAX] = '\0';
    assert_int_equal(model_store_path(store, longest, path, &err), 0);
    assert_int_equal(model_store_path("/m", "a-B_1.2", path, &err), 0);
    assert_string_equal(path, "/m/a-B_1.2");
}

static void synthetic_models_of_every_kind_open(void **state)
{
    (void)state;
    for (int family = MODEL_BERT; family <= MODEL_DISTILBERT; family++) {
        for (uint32_t labels = 0; labels <= 3; labels += 3) {
            char path[PATH_MAX], name[32];
            struct model_shape shape = MODEL_SHAPE_TINY;
            struct model *model;
            struct error err;
            shape.family = (enum model_family)family;
            shape.label_count = labels;
            shape.vocab_size = 2000; /* beyond all pairs: with unused tokens */
            shape.pooling = MODEL_POOL_FIRST;
            snprintf(name, sizeof name, "m-%d-%u", family, labels);
            assert_int_equal(model_synth(in_store(name, path), &shape, 1, &err), 0);
            if (model_open(path, &model, &err) != 0)
                fail_msg("%s", err.text);
            assert_int_equal(model->config.family, family);
            assert_int_equal(model->config.label_count, labels);
            assert_int_equal(model->config.max_seq_length, 64);
            assert_int_equal(model->config.pooling, MODEL_POOL_FIRST);
            assert_int_equal(tokenizer_vocab_count(model->tokenizer), 2000);
            int32_t ids[16];
            assert_true(tokenizer_encode(model->tokenizer, "ab-c", 4, ids, 16) >= 4);
            for (int i = 1; i < 3; i++)
                assert_true(ids[i] > 4);
            model_close(model);
        }
    }
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char sums[3][FILE_SHA256_TEXT];
    struct error err;
    synth_tiny("a", 7);
    synth_tiny("b", 7);
    synth_tiny("c", 8);
    for (int i = 0; i < 3; i++) {
        static const char *const files[] = {"a/model.safetensors", "b/model.safetensors",
                                            "c/model.safetensors"};
        assert_int_equal(file_sha256(in_store(files[i], path), sums[i], &err), 0);
    }
    assert_string_equal(sums[0], sums[1]);
    assert_string_not_equal(sums[0], sums[2]);
}

static void impossible_shapes_and_taken_places_are_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error err;
    struct model_shape shape = MODEL_SHAPE_TINY;
    shape.head_count = 3;
    assert_int_equal(model_synth(in_store("x", path), &shape, 1, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "3 heads do not divide a width of 64"));
    shape = MODEL_SHAPE_TINY;
    shape.vocab_size = 10;
    assert_int_equal(model_synth(path, &shape, 1, &err), ERR_INVALID);
    assert_int_equal(access(path, F_OK), -1);
    synth_tiny("x", 1);
    shape = MODEL_SHAPE_TINY;
    assert_int_equal(model_synth(path, &shape, 1, &err), ERR_EXISTS);
}

static void the_store_lists_whole_models_by_name(void **state)
{
    (void)state;
    struct model_entry *entries;
    size_t count;
    struct error err;
    char path[PATH_MAX];
    assert_int_equal(model_store_list("/nonexistent", &entries, &count, &err), 0);
    assert_int_equal(count, 0);
    assert_null(entries);
    synth_tiny("zeta", 1);
    synth_tiny("alpha", 1);
    assert_int_equal(mkdir(in_store(".draft.123456", path), 0700), 0);
    assert_int_equal(file_write(in_store("file", path), "x", 1, &err), 0);
    assert_int_equal(model_store_list(store, &entries, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(entries[0].name, "alpha");
    assert_string_equal(entries[1].name, "zeta");
    assert_true(entries[0].size_bytes > 100000);
    assert_false(entries[0].is_known);
    free(entries);
}

static void verifying_finds_what_is_wrong(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error err;
    assert_int_equal(model_store_verify(store, "m", &err), ERR_NOT_FOUND);
    synth_tiny("m", 1);
    assert_int_equal(model_store_verify(store, "m", &err), 0);
    assert_int_equal(truncate(in_store("m/model.safetensors", path), 100000), 0);
    assert_int_equal(model_store_verify(store, "m", &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "model.safetensors"));
    assert_non_null(strstr(err.text, "cut short"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(model_store_verify(store, "m", &err), ERR_NOT_FOUND);
    /* A model under a known name must be that model. */
    synth_tiny("all-MiniLM-L6-v2", 1);
    assert_int_equal(model_store_verify(store, "all-MiniLM-L6-v2", &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "SHA-256"));
}

static void weights_must_fit_the_configuration(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char *json;
    size_t size;
    struct error err;
    synth_tiny("m", 1);
    assert_int_equal(file_read(in_store("m/config.json", path), 1 << 20, &json, &size, &err), 0);
    char *at = strstr(json, "\"intermediate_size\": 128");
    assert_non_null(at);
    memcpy(at, "\"intermediate_size\": 129", 24);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_write(path, json, size, &err), 0);
    free(json);
    assert_int_equal(model_store_verify(store, "m", &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "\"encoder.layer.0.intermediate.dense.weight\" is [128, 64], "
                                     "its configuration wants [129, 64]"));
}

static int fetch(const char *name, const char *source, struct model_fetch_report *report,
                 struct error *err)
{
    struct model_fetch_request request = {.models_dir = store, .name = name, .source = source};
    return model_fetch(&request, report, err);
}

static void assert_store_is_empty(void)
{
    assert_int_equal(folder_size(store), 0);
}

static void unknown_models_are_refused_with_those_known(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(fetch("bert", NULL, NULL, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "all-MiniLM-L6-v2"));
}

static void a_folder_with_the_wrong_model_is_refused(void **state)
{
    (void)state;
    char folder[128], path[PATH_MAX];
    struct error err;
    struct model_fetch_report report;
    struct model_shape shape = MODEL_SHAPE_TINY;
    snprintf(folder, sizeof folder, "%s.source", store);
    assert_int_equal(model_synth(folder, &shape, 1, &err), 0);
    int code = fetch("all-MiniLM-L6-v2", folder, &report, &err);
    assert_int_equal(code, ERR_UNAVAILABLE);
    assert_true(report.sources[MODEL_SOURCE_FOLDER].tried);
    assert_false(report.sources[MODEL_SOURCE_INDEX].tried);
    assert_non_null(strstr(report.sources[MODEL_SOURCE_FOLDER].text, "tokenizer_config.json"));
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    assert_int_equal(file_write(path, "{}", 2, &err), 0);
    snprintf(path, sizeof path, "%s/modules.json", folder);
    assert_int_equal(file_write(path, "[]", 2, &err), 0);
    code = fetch("all-MiniLM-L6-v2", folder, &report, &err);
    assert_int_equal(code, ERR_CORRUPT);
    assert_non_null(strstr(err.text, "SHA-256"));
    folder_remove(folder);
    assert_store_is_empty();
}

/* Neither source can work here: no python3 on the path, and nobody listens on the hub's port. */
static void every_source_that_failed_is_told(void **state)
{
    (void)state;
    struct error err;
    struct model_fetch_report report;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", store, 1);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    int code = fetch("all-MiniLM-L6-v2", NULL, &report, &err);
    setenv("PATH", path, 1);
    unsetenv("HF_ENDPOINT");
    free(path);
    assert_int_equal(code, ERR_UNAVAILABLE);
    assert_false(report.sources[MODEL_SOURCE_FOLDER].tried);
    assert_int_equal(report.sources[MODEL_SOURCE_INDEX].code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "index: could not run python3"));
    assert_non_null(strstr(err.text, "hub: could not get http://127.0.0.1:1/"));
    assert_store_is_empty();
}

/* With the real model at hand: fetched from its folder, verified, and left alone the second time.
 */
static void the_real_model_is_fetched_from_a_folder(void **state)
{
    (void)state;
    const char *models = getenv("ARGOSY_MODEL_DIR");
    char folder[PATH_MAX], weights[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/all-MiniLM-L6-v2", models != NULL ? models : "");
    if (models == NULL || access(folder, F_OK) != 0) {
        print_message("skipped: ARGOSY_MODEL_DIR has no all-MiniLM-L6-v2\n");
        skip();
    }
    struct error err;
    struct model_fetch_report report;
    if (fetch("all-MiniLM-L6-v2", folder, &report, &err) != 0)
        fail_msg("%s", err.text);
    assert_false(report.was_present);
    assert_int_equal(fetch("all-MiniLM-L6-v2", "/nonexistent", &report, &err), 0);
    assert_true(report.was_present);
    assert_int_equal(truncate(in_store("all-MiniLM-L6-v2/model.safetensors", weights), 1000), 0);
    assert_int_equal(fetch("all-MiniLM-L6-v2", folder, &report, &err), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_cannot_leave_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(synthetic_models_of_every_kind_open, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_shapes_and_taken_places_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_store_lists_whole_models_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(verifying_finds_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(weights_must_fit_the_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_models_are_refused_with_those_known, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_with_the_wrong_model_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(every_source_that_failed_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_real_model_is_fetched_from_a_folder, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
