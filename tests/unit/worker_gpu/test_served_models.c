/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_served_models: which model a name means, folders and registered heads alike; what a head
 * answers; how many stay in memory; what is refused. Storage is a fake one.
 */
#include "worker_gpu/served_models.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/file.h"
#include "models/model_synth.h"
#include "models/safetensors_writer.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/fake_storage.h"
#include "worker_gpu/head_shelf.h"

enum { WIDTH = 16, MODELS_MAX = HEAD_SHELF_MAX + 2 };

static const struct fleet_label prompts[] = {{"one", "the first"}, {"two", "zyx 98"}};

struct fixture {
    char folder[64];
    char weights_sha256[FILE_SHA256_TEXT]; /* of the model "tiny" */
    struct device *device;
    struct served_models *models;

    struct registered_model registered[MODELS_MAX];
    struct model_file files[MODELS_MAX][2];
    char names[MODELS_MAX][32], metadata[MODELS_MAX][256];
    size_t count;
};

static struct fixture *fixture_create(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct model_shape shape = MODEL_SHAPE_TINY;
    struct device_options device = {.kind = DEVICE_CPU, .threads = 1};
    char path[PATH_MAX], message[128];
    shape.hidden_size = WIDTH;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/argosy-served-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(path, sizeof path, "%s/tiny", fixture->folder);
    assert_int_equal(model_synth(path, &shape, 1, NULL), 0);
    strcat(path, "/model.safetensors");
    assert_int_equal(file_sha256(path, fixture->weights_sha256, NULL), 0);
    assert_int_equal(device_open(&device, &fixture->device, message, sizeof message), 0);
    struct base_model_options options = {.models_dir = fixture->folder,
                                         .device = fixture->device,
                                         .batch_tokens = 64,
                                         .labels = prompts,
                                         .label_count = 2,
                                         .temperature = 0.05};
    assert_int_equal(served_models_create(&options, "tiny", NULL, &fixture->models, NULL), 0);
    fake_storage_models = fixture->registered;
    fake_storage_model_count = 0;
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    served_models_destroy(fixture->models);
    device_close(fixture->device);
    folder_remove(fixture->folder);
    fake_storage_model_count = 0;
    fake_storage_models = NULL;
    fake_storage_clear();
    free(fixture);
}

static void put(const void *data, size_t size, const char *name, struct model_file *file)
{
    file->name = name;
    assert_int_equal(
        artifact_put_bytes(NULL, data, size, "workflow:workflow", &file->artifact, NULL), 0);
}

/* Registers a head of labels a, b and c: label i is worth x[i] * scale. */
static struct registered_model *register_head(struct fixture *fixture, const char *name,
                                              uint32_t version, float scale, uint32_t width)
{
    size_t at = fixture->count++;
    float weights[3 * 64] = {0}, biases[3] = {0};
    const uint64_t shape[] = {3, width};
    struct buffer file = {0};
    char description[128];
    assert_in_range(width, 3, 64);
    for (uint32_t i = 0; i < 3; i++)
        weights[i * width + i] = scale;
    const struct tensor tensors[] = {
        tensor_over("classifier.weight", TENSOR_F32, 2, shape, weights),
        tensor_over("classifier.bias", TENSOR_F32, 1, shape, biases),
    };
    safetensors_write(tensors, 2, &file);
    snprintf(description, sizeof description,
             "{\"base\": \"tiny\", \"labels\": [\"a\", \"b\", \"c\"], \"version\": %u}", version);
    put(description, strlen(description), "head.json", &fixture->files[at][0]);
    put(file.data, file.size, "head.safetensors", &fixture->files[at][1]);
    buffer_fini(&file);
    snprintf(fixture->names[at], sizeof fixture->names[at], "%s", name);
    snprintf(fixture->metadata[at], sizeof fixture->metadata[at],
             "{\"trained\": {\"base\": {\"name\": \"tiny\", \"sha256\": \"%s\"}}}",
             fixture->weights_sha256);
    fixture->registered[at] = (struct registered_model){
        .name = fixture->names[at],
        .version = version,
        .kind = "text-classification-head",
        .base = "tiny",
        .metadata = fixture->metadata[at],
        .files = fixture->files[at],
        .file_count = 2,
    };
    fake_storage_model_count = fixture->count;
    return &fixture->registered[at];
}

static struct served_model take(struct fixture *fixture, const char *name)
{
    struct served_model model;
    struct error err;
    if (served_models_take(fixture->models, name, &model, &err) != 0)
        fail_msg("%s: %s", name, err.text);
    return model;
}

static void assert_refused(struct fixture *fixture, const char *name, int code, const char *text)
{
    struct served_model model;
    struct error err = {0};
    assert_int_equal(served_models_take(fixture->models, name, &model, &err), code);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s: %s", name, err.text);
}

static void a_name_means_a_folder_or_a_registered_head(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create();
    register_head(fixture, "tickets", 1, 1, WIDTH);
    register_head(fixture, "tickets", 2, 2, WIDTH);
    register_head(fixture, "tiny", 1, 1, WIDTH); /* a folder of that name is meant before it */
    static const struct {
        const char *asked, *got;
    } cases[] = {{NULL, "tiny"},           {"tiny", "tiny"},           {"tiny@1", "tiny@1"},
                 {"tickets", "tickets@2"}, {"tickets@1", "tickets@1"}, {"tickets@2", "tickets@2"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct served_model model = take(fixture, cases[i].asked);
        assert_string_equal(served_model_name(&model), cases[i].got);
        assert_ptr_equal(model.base, served_models_own(fixture->models));
        served_models_give(fixture->models, &model);
        /* At hand from then on, without a question to storage; the newest for a second. */
        if (i == 3)
            continue;
        unsigned gets = atomic_load(&fake_storage_model_gets);
        assert_true(served_models_find(fixture->models, cases[i].asked, &model));
        assert_string_equal(served_model_name(&model), cases[i].got);
        assert_int_equal(atomic_load(&fake_storage_model_gets), gets);
        served_models_give(fixture->models, &model);
    }
    fixture_destroy(fixture);
}

static void a_head_gives_the_likeliest_label_and_its_probability(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create();
    register_head(fixture, "tickets", 1, 2, WIDTH);
    struct served_model model = take(fixture, "tickets");
    const char *label;
    float score, vector[WIDTH] = {0.1f, 0.9f, 0.4f, 5};
    served_model_classify(&model, vector, NULL, &label, &score);
    assert_string_equal(label, "b");
    double sum = exp(0.2) + exp(1.8) + exp(0.8);
    assert_true(fabs((double)score - exp(1.8) / sum) < 1e-6);
    /* The first of equals. */
    float even[WIDTH] = {0};
    served_model_classify(&model, even, NULL, &label, &score);
    assert_string_equal(label, "a");
    assert_true(fabs((double)score - 1.0 / 3) < 1e-6);
    served_models_give(fixture->models, &model);
    fixture_destroy(fixture);
}

static void a_new_version_is_served_soon(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create();
    register_head(fixture, "tickets", 1, 1, WIDTH);
    struct served_model old = take(fixture, "tickets"), model;
    register_head(fixture, "tickets", 2, 1, WIDTH);
    /* What was the newest is believed for a while; then storage is asked again. */
    do {
        model = take(fixture, "tickets");
        bool is_new = strcmp(served_model_name(&model), "tickets@2") == 0;
        served_models_give(fixture->models, &model);
        if (is_new)
            break;
    } while (true);
    assert_string_equal(served_model_name(&old), "tickets@1"); /* a task keeps what it holds */
    served_models_give(fixture->models, &old);
    fixture_destroy(fixture);
}

static void the_least_recently_used_head_goes_first(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create();
    struct served_model models[HEAD_SHELF_MAX], model;
    char name[32];
    for (uint32_t i = 0; i < MODELS_MAX; i++)
        register_head(fixture, "many", i + 1, (float)i, WIDTH);
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++) {
        snprintf(name, sizeof name, "many@%u", i + 1);
        models[i] = take(fixture, name);
    }
    /* Tasks hold all of them. */
    snprintf(name, sizeof name, "many@%u", HEAD_SHELF_MAX + 1);
    assert_refused(fixture, name, ERR_LIMIT, "tasks use 32 others");
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++)
        served_models_give(fixture->models, &models[i]);
    /* The first is used again, so that the second makes room. */
    model = take(fixture, "many@1");
    served_models_give(fixture->models, &model);
    model = take(fixture, name);
    served_models_give(fixture->models, &model);
    assert_false(served_models_find(fixture->models, "many@2", &model));
    assert_true(served_models_find(fixture->models, "many@1", &model));
    served_models_give(fixture->models, &model);
    fixture_destroy(fixture);
}

static void what_cannot_be_served_is_refused(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create();
    static const char other[] = "{\"trained\": {\"base\": {\"sha256\": \"12\"}}}";
    register_head(fixture, "kind", 1, 1, WIDTH)->kind = "generator";
    register_head(fixture, "files", 1, 1, WIDTH)->file_count = 1;
    register_head(fixture, "width", 1, 1, 2 * WIDTH);
    register_head(fixture, "base", 1, 1, WIDTH)->metadata = other;
    register_head(fixture, "silent", 1, 1, WIDTH)->metadata = "{}";
    register_head(fixture, "lost", 1, 1, WIDTH);
    snprintf(fixture->files[fixture->count - 1][0].artifact.id, ARTIFACT_ID_SIZE, "sha256:%064d",
             7);
    register_head(fixture, "odd", 1, 1, WIDTH);
    put("{\"base\": \"tiny\", \"labels\": [1, 2, 3]}", 37, "head.json",
        &fixture->files[fixture->count - 1][0]);
    register_head(fixture, "few", 1, 1, WIDTH);
    put("{\"base\": \"tiny\", \"labels\": [\"a\"]}", 33, "head.json",
        &fixture->files[fixture->count - 1][0]);
    register_head(fixture, "moved", 1, 1, WIDTH);
    put("{\"base\": \"small\", \"labels\": [\"a\", \"b\", \"c\"]}", 44, "head.json",
        &fixture->files[fixture->count - 1][0]);

    assert_refused(fixture, "kind", ERR_UNSUPPORTED, "model kind@1 is a generator");
    assert_refused(fixture, "files", ERR_CORRUPT, "it has no file head.safetensors");
    assert_refused(fixture, "width", ERR_CORRUPT, "a width of 32, and its base one of 16");
    assert_refused(fixture, "base@1", ERR_UNSUPPORTED, "trained on other weights of tiny");
    assert_refused(fixture, "silent", ERR_CORRUPT, "does not say which weights");
    assert_refused(fixture, "lost", ERR_CORRUPT, "storage has lost its file head.json");
    assert_refused(fixture, "odd", ERR_CORRUPT, "no base or no labels");
    assert_refused(fixture, "few", ERR_CORRUPT, "not one of 1 labels");
    assert_refused(fixture, "moved", ERR_UNSUPPORTED, "stands on small");
    assert_refused(fixture, "kin", ERR_NOT_FOUND, "the nearest is \"kind\"");
    assert_refused(fixture, "tinny", ERR_NOT_FOUND, "the nearest is \"tiny\"");
    assert_refused(fixture, "files@2", ERR_NOT_FOUND, "there is no model \"files@2\"");
    assert_refused(fixture, "nothing-like-it", ERR_NOT_FOUND, "this group's own is \"tiny\"");
    assert_refused(fixture, "files@0", ERR_INVALID, "no version from 1 up");
    assert_refused(fixture, "../tiny", ERR_INVALID, "no model's name");
    atomic_store(&fake_storage_code, ERR_UNAVAILABLE);
    assert_refused(fixture, "kind", ERR_UNAVAILABLE, "made to fail");
    atomic_store(&fake_storage_code, 0);
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_means_a_folder_or_a_registered_head),
        cmocka_unit_test(a_head_gives_the_likeliest_label_and_its_probability),
        cmocka_unit_test(a_new_version_is_served_soon),
        cmocka_unit_test(the_least_recently_used_head_goes_first),
        cmocka_unit_test(what_cannot_be_served_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
