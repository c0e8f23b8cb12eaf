/* SPDX-License-Identifier: Apache-2.0 */
/* served_head: see served_head.h. */
#include "worker_gpu/served_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/file.h"
#include "models/model_config.h"
#include "models/model_store.h"
#include "worker_gpu/artifact_bytes.h"
#include "workflows/finetune/fine_tune.h"

/* 1,024 labels of 4,096 numbers, or of 256 bytes, with room to spare. */
#define WEIGHTS_SIZE_MAX     ((uint64_t)20 << 20)
#define DESCRIPTION_SIZE_MAX ((uint64_t)2 << 20)

static int file_fetch(const struct registered_model *model, const char *name, uint64_t size_max,
                      struct storage_client *storage, struct buffer *out, struct error *err)
{
    size_t i = 0;
    while (i < model->file_count && strcmp(model->files[i].name, name) != 0)
        i++;
    if (i == model->file_count)
        return error_set(err, ERR_CORRUPT, "it has no file %s", name);
    int code = artifact_bytes_read(storage, &model->files[i].artifact, size_max, out, err);
    if (code == ERR_NOT_FOUND)
        return error_set(err, ERR_CORRUPT, "storage has lost its file %s", name);
    return code;
}

static bool are_labels(const json_t *labels)
{
    size_t place;
    const json_t *label;
    json_array_foreach(labels, place, label)
    {
        if (!json_is_string(label))
            return false;
    }
    return json_array_size(labels) >= 1 && json_array_size(labels) <= MODEL_LABELS_MAX;
}

static int description_load(const struct registered_model *model, struct storage_client *storage,
                            struct served_head *head, struct error *err)
{
    struct buffer text = {0};
    int code = file_fetch(model, "head.json", DESCRIPTION_SIZE_MAX, storage, &text, err);
    if (code == 0)
        head->description = json_loadb((const char *)text.data, text.size, 0, NULL);
    buffer_fini(&text);
    if (code != 0)
        return code;
    head->base = json_string_value(json_object_get(head->description, "base"));
    head->labels = json_object_get(head->description, "labels");
    if (head->base == NULL || !are_labels(head->labels))
        return error_set(err, ERR_CORRUPT, "its head.json has no base or no labels");
    return 0;
}

static int weights_load(const struct registered_model *model, struct storage_client *storage,
                        struct served_head *head, struct error *err)
{
    struct buffer file = {0};
    int code = file_fetch(model, "head.safetensors", WEIGHTS_SIZE_MAX, storage, &file, err);
    if (code == 0)
        code = head_model_read(file.data, file.size, (uint32_t)json_array_size(head->labels), 0,
                               &head->weights, err);
    buffer_fini(&file);
    return code;
}

/* On other weights than it was trained on a head gives labels that mean nothing. */
static int base_check(const struct registered_model *model, const struct served_head *head,
                      const char *models_dir, struct error *err)
{
    char folder[MODEL_PATH_MAX], weights[MODEL_PATH_MAX + 32], digest[FILE_SHA256_TEXT];
    json_t *metadata = json_loads(model->metadata, 0, NULL);
    json_t *base = json_object_get(json_object_get(metadata, "trained"), "base");
    const char *expected = json_string_value(json_object_get(base, "sha256"));
    int code = 0;
    if (expected == NULL) {
        code = error_set(err, ERR_CORRUPT, "its metadata does not say which weights it stands on");
    } else if (model_store_path(models_dir, head->base, folder, NULL) != 0 ||
               snprintf(weights, sizeof weights, "%s/model.safetensors", folder) < 0 ||
               file_sha256(weights, digest, NULL) != 0) {
        code = error_set(err, ERR_UNSUPPORTED, "it stands on %s, which this worker does not have",
                         head->base);
    } else if (strcmp(expected, digest) != 0) {
        code = error_set(err, ERR_UNSUPPORTED,
                         "it was trained on other weights of %s than this worker has", head->base);
    }
    json_decref(metadata);
    return code;
}

int served_head_load(const struct registered_model *model, struct storage_client *storage,
                     const char *models_dir, struct served_head **ret_head, struct error *err)
{
    if (strcmp(model->kind, FINE_TUNE_HEAD_KIND) != 0)
        return error_set(err, ERR_UNSUPPORTED, "model %s@%u is a %s, which is not served",
                         model->name, model->version, model->kind);
    struct served_head *head = calloc(1, sizeof *head);
    if (head == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    snprintf(head->name, sizeof head->name, "%s@%u", model->name, model->version);
    int code = description_load(model, storage, head, err);
    if (code == 0)
        code = weights_load(model, storage, head, err);
    if (code == 0)
        code = base_check(model, head, models_dir, err);
    if (code != 0) {
        error_prefix(err, "model %s", head->name);
        served_head_destroy(head);
        return code;
    }
    *ret_head = head;
    return 0;
}

void served_head_destroy(struct served_head *head)
{
    if (head == NULL)
        return;
    head_model_fini(&head->weights);
    json_decref(head->description);
    free(head);
}

const char *served_head_classify(const struct served_head *head, const float *vector,
                                 float *ret_score)
{
    uint32_t label = head_model_classify(&head->weights, vector, ret_score);
    return json_string_value(json_array_get(head->labels, label));
}
