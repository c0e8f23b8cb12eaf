/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_config: the configurations of real models, and each wrong value by its key.
 */
#include "models/model_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/file.h"
#include "tests/test.h"

#define MINILM                                                                                     \
    "{\"architectures\":[\"BertModel\"],\"hidden_act\":\"gelu\",\"hidden_size\":384,"              \
    "\"intermediate_size\":1536,\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,"         \
    "\"model_type\":\"bert\",\"num_attention_heads\":12,\"num_hidden_layers\":6,"                  \
    "\"position_embedding_type\":\"absolute\",\"type_vocab_size\":2,\"vocab_size\":30522}"

#define SST2                                                                                       \
    "{\"activation\":\"gelu\",\"architectures\":[\"DistilBertForSequenceClassification\"],"        \
    "\"dim\":768,\"hidden_dim\":3072,\"id2label\":{\"1\":\"POSITIVE\",\"0\":\"NEGATIVE\"},"        \
    "\"max_position_embeddings\":512,\"model_type\":\"distilbert\",\"n_heads\":12,"                \
    "\"n_layers\":6,\"vocab_size\":30522}"

static void minilm_is_understood(void **state)
{
    (void)state;
    struct model_config config;
    struct error err;
    assert_int_equal(model_config_parse(MINILM, strlen(MINILM), "c", &config, &err), 0);
    assert_int_equal(config.family, MODEL_BERT);
    assert_int_equal(config.hidden_size, 384);
    assert_int_equal(config.layer_count, 6);
    assert_int_equal(config.head_count, 12);
    assert_int_equal(config.intermediate_size, 1536);
    assert_int_equal(config.vocab_size, 30522);
    assert_int_equal(config.position_count, 512);
    assert_int_equal(config.type_count, 2);
    assert_true(config.norm_epsilon == 1e-12f);
    assert_int_equal(config.max_seq_length, 512);
    assert_int_equal(config.label_count, 0);
    assert_true(config.normalise && config.pooling == MODEL_POOL_MEAN);
    model_config_fini(&config);
}

static void distilbert_classifier_has_its_labels(void **state)
{
    (void)state;
    struct model_config config;
    struct error err;
    assert_int_equal(model_config_parse(SST2, strlen(SST2), "c", &config, &err), 0);
    assert_int_equal(config.family, MODEL_DISTILBERT);
    assert_int_equal(config.hidden_size, 768);
    assert_int_equal(config.type_count, 0);
    assert_int_equal(config.label_count, 2);
    assert_string_equal(config.labels[0], "NEGATIVE");
    assert_string_equal(config.labels[1], "POSITIVE");
    model_config_fini(&config);
}

/* MINILM with one key's value replaced. */
static void replace(const char *key, const char *value, char out[1024])
{
    const char *at = strstr(MINILM, key);
    assert_non_null(at);
    const char *colon = strchr(at, ':') + 1;
    const char *end = colon + strcspn(colon, "]},");
    end += *end == ']';
    snprintf(out, 1024, "%.*s%s%s", (int)(colon - MINILM), MINILM, value, end);
}

static void wrong_values_are_refused_by_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
        int code;
    } cases[] = {
        {"hidden_size", "0", ERR_CORRUPT},
        {"hidden_size", "-384", ERR_CORRUPT},
        {"hidden_size", "384.5", ERR_CORRUPT},
        {"hidden_size", "\"384\"", ERR_CORRUPT},
        {"hidden_size", "99999999999", ERR_CORRUPT},
        {"num_hidden_layers", "1000000", ERR_CORRUPT},
        {"vocab_size", "null", ERR_CORRUPT},
        {"layer_norm_eps", "-1", ERR_CORRUPT},
        {"layer_norm_eps", "\"x\"", ERR_CORRUPT},
        {"model_type", "\"gpt2\"", ERR_UNSUPPORTED},
        {"model_type", "3", ERR_UNSUPPORTED},
        {"hidden_act", "\"relu\"", ERR_UNSUPPORTED},
        {"position_embedding_type", "\"relative_key\"", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[1024];
        struct model_config config;
        struct error err;
        replace(cases[i].key, cases[i].value, json);
        assert_int_equal(model_config_parse(json, strlen(json), "c.json", &config, &err),
                         cases[i].code);
        assert_non_null(strstr(err.text, "c.json"));
        assert_non_null(strstr(err.text, cases[i].key));
    }
    static const struct {
        const char *key;
        const char *value;
        const char *wanted;
    } others[] = {
        {"num_attention_heads", "7", "7 heads do not divide a width of 384"},
        {"architectures", "[\"BertForSequenceClassification\"]", "id2label"},
        {"vocab_size", "30522,\"vocab_size\":1", "no JSON"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char json[1024];
        struct model_config config;
        struct error err;
        replace(others[i].key, others[i].value, json);
        assert_int_equal(model_config_parse(json, strlen(json), "c", &config, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.text, others[i].wanted));
    }
}

/* A folder with config.json = MINILM and one more file. The caller removes it. */
static void folder_with(char folder[64], const char *file, const char *text)
{
    char path[256];
    struct error err;
    strcpy(folder, "/tmp/argosy-config-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(file_write(path, MINILM, strlen(MINILM), &err), 0);
    snprintf(path, sizeof path, "%s/1_Pooling", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(file_write(path, text, strlen(text), &err), 0);
}

static int load_with(const char *file, const char *text, struct model_config *ret_config,
                     struct error *err)
{
    char folder[64];
    folder_with(folder, file, text);
    int code = model_config_load(folder, ret_config, err);
    folder_remove(folder);
    return code;
}

static void the_other_files_of_a_folder_count(void **state)
{
    (void)state;
    struct model_config config;
    struct error err;
    assert_int_equal(
        load_with("sentence_bert_config.json", "{\"max_seq_length\":256}", &config, &err), 0);
    assert_int_equal(config.max_seq_length, 256);
    assert_int_equal(
        load_with("sentence_bert_config.json", "{\"max_seq_length\":5000}", &config, &err), 0);
    assert_int_equal(config.max_seq_length, 512);
    assert_int_equal(load_with("tokenizer_config.json",
                               "{\"do_lower_case\":false,\"strip_accents\":null,"
                               "\"model_max_length\":1000000000000000019884624838656}",
                               &config, &err),
                     0); /* how tokenizers write "no limit" */
    assert_int_equal(config.max_seq_length, 512);
    assert_int_equal(
        load_with("tokenizer_config.json",
                  "{\"do_lower_case\":false,\"strip_accents\":null,\"model_max_length\":128}",
                  &config, &err),
        0);
    assert_false(config.tokenizer.lowercase || config.tokenizer.strip_accents);
    assert_int_equal(config.max_seq_length, 128);
    assert_int_equal(load_with("modules.json",
                               "[{\"type\":\"a.Transformer\"},{\"type\":\"a.Pooling\"}]", &config,
                               &err),
                     0);
    assert_false(config.normalise);
    assert_int_equal(
        load_with("1_Pooling/config.json", "{\"pooling_mode_cls_token\":true}", &config, &err), 0);
    assert_int_equal(config.pooling, MODEL_POOL_FIRST);
}

static void wrong_other_files_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *text;
        int code;
    } cases[] = {
        {"sentence_bert_config.json", "{\"max_seq_length\":1}", ERR_CORRUPT},
        {"sentence_bert_config.json", "{\"max_seq_length\":\"256\"}", ERR_CORRUPT},
        {"sentence_bert_config.json", "{", ERR_CORRUPT},
        {"tokenizer_config.json", "{\"do_lower_case\":1}", ERR_CORRUPT},
        {"modules.json", "{}", ERR_CORRUPT},
        {"modules.json", "[{\"type\":\"a.Dense\"}]", ERR_UNSUPPORTED},
        {"1_Pooling/config.json", "{\"pooling_mode_mean_sqrt_len_tokens\":true}", ERR_UNSUPPORTED},
        {"1_Pooling/config.json",
         "{\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true}", ERR_UNSUPPORTED},
        {"1_Pooling/config.json",
         "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_lasttoken\":true}", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_config config;
        struct error err;
        assert_int_equal(load_with(cases[i].file, cases[i].text, &config, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].file));
    }
    struct model_config config;
    struct error err;
    assert_int_equal(model_config_load("/nonexistent", &config, &err), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minilm_is_understood),
        cmocka_unit_test(distilbert_classifier_has_its_labels),
        cmocka_unit_test(wrong_values_are_refused_by_key),
        cmocka_unit_test(the_other_files_of_a_folder_count),
        cmocka_unit_test(wrong_other_files_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
