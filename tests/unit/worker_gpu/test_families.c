/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published models of every family, by their own files (tests/golden/families.json), against
 * `transformers` (families.jsonl): what the files say, and the vectors of small models that have
 * the same files but for their sizes. With --write FOLDER it writes both, for families.py.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/buffer.h"
#include "models/file.h"
#include "models/safetensors_writer.h"
#include "tests/test.h"
#include "worker_gpu/encoder.h"

#define TOLERANCE   2e-5
#define VOCABULARY  256u
#define POSITIONS   64u
#define LAYERS      2u
#define TENSORS_MAX 128u

static const char *golden_path(const char *name, char path[PATH_MAX])
{
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, PATH_MAX, "%s/tests/golden/%s", root != NULL ? root : ".", name);
    return path;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
    char path[PATH_MAX];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(folder_create(path, &err), 0);
    *slash = '/';
    if (file_write(path, data, size, &err) != 0)
        fail_msg("%s", err.text);
}

static void write_files(const char *folder, const json_t *files)
{
    const char *name;
    json_t *content;
    json_object_foreach((json_t *)files, name, content)
    {
        char *text = json_dumps(content, 0);
        write_file(folder, name, text, strlen(text));
        free(text);
    }
}

/* ---- small models ---- */

/* The files with two layers, two heads (three of the large models) of their own width, and a small
 * vocabulary. The caller frees the result. */
static json_t *narrowed(const json_t *files)
{
    json_t *copy = json_deep_copy(files);
    json_t *config = json_object_get(copy, "config.json");
    bool is_bert = strcmp(text_of(config, "model_type"), "bert") == 0;
    const char *width_key = is_bert ? "hidden_size" : "dim";
    const char *heads_key = is_bert ? "num_attention_heads" : "n_heads";
    json_int_t heads = (json_int_t)number_of(config, heads_key);
    json_int_t head_width = (json_int_t)number_of(config, width_key) / heads;
    json_int_t few = heads > 12 ? 3 : 2;
    const struct {
        const char *key;
        json_int_t size;
    } sizes[] = {
        {width_key, few * head_width},
        {heads_key, few},
        {is_bert ? "intermediate_size" : "hidden_dim", 2 * few * head_width},
        {is_bert ? "num_hidden_layers" : "n_layers", LAYERS},
        {"vocab_size", VOCABULARY},
        {"max_position_embeddings", POSITIONS},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_non_null(json_object_get(config, sizes[i].key));
        json_object_set_new(config, sizes[i].key, json_integer(sizes[i].size));
    }
    return copy;
}

/* Uniform in [-1, 1), of 24 bits: the same numbers on every machine. */
static float random_unit(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(*state >> 40) * 0x1p-23f - 1.0f;
}

/* A tensor's name as the family's checkpoint has it: a norm's may end in gamma and beta. */
static char *published_name(const char *name, const json_t *norms)
{
    static const char *const ends[] = {"LayerNorm.weight", "LayerNorm.bias"};
    char text[WEIGHT_NAME_MAX + 8];
    snprintf(text, sizeof text, "%s", name);
    for (size_t i = 0; i < 2; i++) {
        char *at = strstr(text, ends[i]);
        if (at != NULL)
            snprintf(at, sizeof text - (size_t)(at - text), "LayerNorm.%s",
                     json_string_value(json_array_get(norms, i)));
    }
    return strdup(text);
}

static void add_tensor(struct tensor *tensors, size_t *count, const json_t *family,
                       const struct model_config *config, enum weight_role role, uint32_t layer,
                       uint64_t *random)
{
    char name[WEIGHT_NAME_MAX];
    struct tensor shape;
    weight_role_name(role, config, layer, text_of(family, "prefix"), name);
    weight_role_shape(role, config, &shape);
    /* U(-a, a) has the variance a²/3: 1/in of a matrix keeps activations near one. */
    float scale = shape.rank == 2 ? sqrtf(3.0f / (float)shape.shape[1]) : 0.1f;
    float centre =
        strstr(name, "ayer_norm.weight") != NULL || strstr(name, "LayerNorm.weight") != NULL;
    float *data = malloc(shape.count * sizeof *data);
    assert_non_null(data);
    for (uint64_t i = 0; i < shape.count; i++)
        data[i] = centre + scale * random_unit(random);
    assert_true(*count < TENSORS_MAX);
    tensors[(*count)++] = tensor_over(published_name(name, json_object_get(family, "norms")),
                                      TENSOR_F32, shape.rank, shape.shape, data);
}

/* What real checkpoints carry beside the weights, and an encoder does not read. */
static void add_surplus(struct tensor *tensors, size_t *count, const json_t *family)
{
    uint64_t shape[] = {1, POSITIONS};
    char name[WEIGHT_NAME_MAX];
    snprintf(name, sizeof name, "%sembeddings.position_ids", text_of(family, "prefix"));
    int64_t *data = malloc(POSITIONS * sizeof *data);
    assert_non_null(data);
    for (uint32_t i = 0; i < POSITIONS; i++)
        data[i] = i;
    tensors[(*count)++] = tensor_over(strdup(name), TENSOR_I64, 2, shape, data);
}

static void write_weights(const char *folder, const json_t *family, uint64_t seed)
{
    struct model_config config = {0};
    struct error err = {0};
    struct tensor tensors[TENSORS_MAX];
    struct buffer out = {0};
    size_t count = 0;
    if (model_config_load(folder, &config, &err) != 0)
        fail_msg("%s", err.text);
    for (int role = 0; role < WEIGHT_ROLE_COUNT; role++) {
        for (uint32_t layer = 0; layer < weight_role_layers(role, &config); layer++)
            add_tensor(tensors, &count, family, &config, role, layer, &seed);
    }
    add_surplus(tensors, &count, family);
    safetensors_write(tensors, count, &out);
    assert_false(out.failed);
    write_file(folder, "model.safetensors", out.data, out.size);
    for (size_t i = 0; i < count; i++) {
        free((void *)tensors[i].name);
        free((void *)tensors[i].data);
    }
    buffer_fini(&out);
    model_config_fini(&config);
}

static void write_small(const char *folder, const json_t *family, uint64_t seed)
{
    static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    json_t *files = narrowed(json_object_get(family, "files"));
    write_files(folder, files);
    write_file(folder, "vocab.txt", vocabulary, sizeof vocabulary - 1);
    write_weights(folder, family, seed);
    json_decref(files);
}

/* ---- the tests ---- */

struct families {
    char folder[64];
    json_t *families; /* families.json */
    json_t *golden;   /* by name, of families.jsonl */
};

static void write_all(const char *folder, const json_t *families)
{
    size_t i;
    json_t *family;
    json_array_foreach((json_t *)families, i, family)
    {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/true/%s", folder, text_of(family, "name"));
        write_files(path, json_object_get(family, "files"));
        snprintf(path, sizeof path, "%s/small/%s", folder, text_of(family, "name"));
        write_small(path, family, i + 1);
    }
}

static json_t *read_golden(void)
{
    char path[PATH_MAX];
    FILE *file = fopen(golden_path("families.jsonl", path), "r");
    assert_non_null(file);
    json_t *rows = json_object();
    json_t *row;
    while ((row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL)
        json_object_set_new(rows, text_of(row, "model"), row);
    fclose(file);
    return rows;
}

static int set_up(void **state)
{
    static struct families families = {.folder = "/tmp/argosy-families-XXXXXX"};
    char path[PATH_MAX];
    assert_non_null(mkdtemp(families.folder));
    families.families = json_load_file(golden_path("families.json", path), 0, NULL);
    families.golden = read_golden();
    assert_true(json_array_size(families.families) >= 9);
    assert_int_equal(json_object_size(families.golden), json_array_size(families.families));
    write_all(families.folder, families.families);
    *state = &families;
    return 0;
}

static int tear_down(void **state)
{
    struct families *families = *state;
    folder_remove(families->folder);
    json_decref(families->families);
    json_decref(families->golden);
    return 0;
}

static void check_config(const char *folder, const json_t *wanted)
{
    static const char *const poolings[] = {
        [MODEL_POOL_MEAN] = "mean", [MODEL_POOL_FIRST] = "cls", [MODEL_POOL_MAX] = "max"};
    struct model_config config = {0};
    struct error err = {0};
    if (model_config_load(folder, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(config.hidden_size, number_of(wanted, "width"));
    assert_int_equal(config.layer_count, number_of(wanted, "layers"));
    assert_int_equal(config.head_count, number_of(wanted, "heads"));
    assert_int_equal(config.intermediate_size, number_of(wanted, "inner"));
    assert_int_equal(config.vocab_size, number_of(wanted, "vocabulary"));
    assert_int_equal(config.position_count, number_of(wanted, "positions"));
    assert_int_equal(config.type_count, number_of(wanted, "types"));
    assert_int_equal(config.max_seq_length, number_of(wanted, "longest"));
    assert_int_equal(config.label_count, 0);
    assert_string_equal(poolings[config.pooling], text_of(wanted, "pooling"));
    assert_int_equal(config.normalise, json_is_true(json_object_get(wanted, "normalise")));
    model_config_fini(&config);
}

static void published_files_are_read_as_transformers_reads_them(void **state)
{
    const struct families *families = *state;
    const char *name;
    json_t *golden;
    json_object_foreach(families->golden, name, golden)
    {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/true/%s", families->folder, name);
        check_config(path, json_object_get(golden, "config"));
    }
}

static void check_row(struct encoder *encoder, const json_t *row, const char *name)
{
    const json_t *list = json_object_get(row, "ids");
    const json_t *wanted = json_object_get(row, "vector");
    int32_t ids[POSITIONS];
    float got[512];
    const uint32_t cu_seqlens[2] = {0, (uint32_t)json_array_size(list)};
    const struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = cu_seqlens[1], .texts = 1};
    struct error err = {0};
    assert_in_range(cu_seqlens[1], 2, POSITIONS);
    assert_int_equal(json_array_size(wanted), encoder_width(encoder));
    for (size_t i = 0; i < cu_seqlens[1]; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    if (encoder_run(encoder, &source, got, NULL, &err) != 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        double number = json_number_value(json_array_get(wanted, i));
        if (!(fabs(number - (double)got[i]) <= TOLERANCE))
            fail_msg("%s: number %zu is %.9g, wanted %.9g", name, i, (double)got[i], number);
    }
}

static void vectors_of_every_family_are_those_of_transformers(void **state)
{
    const struct families *families = *state;
    const struct device_options options = {.kind = DEVICE_CPU, .threads = 1};
    char message[128];
    struct device *device;
    const char *name;
    json_t *golden;
    assert_int_equal(device_open(&options, &device, message, sizeof message), 0);
    json_object_foreach(families->golden, name, golden)
    {
        char path[PATH_MAX];
        struct model *model;
        struct encoder *encoder;
        struct error err = {0};
        size_t i;
        json_t *row;
        snprintf(path, sizeof path, "%s/small/%s", families->folder, name);
        if (model_open(path, &model, &err) != 0 ||
            encoder_create(device, model, POSITIONS, &encoder, &err) != 0)
            fail_msg("%s: %s", name, err.text);
        assert_true(json_array_size(json_object_get(golden, "rows")) >= 3);
        json_array_foreach(json_object_get(golden, "rows"), i, row) check_row(encoder, row, name);
        encoder_destroy(encoder);
        model_close(model);
    }
    device_close(device);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        char path[PATH_MAX];
        json_t *families = json_load_file(golden_path("families.json", path), 0, NULL);
        if (families == NULL)
            return 1;
        write_all(argv[2], families);
        json_decref(families);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_files_are_read_as_transformers_reads_them),
        cmocka_unit_test(vectors_of_every_family_are_those_of_transformers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
