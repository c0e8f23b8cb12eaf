/* SPDX-License-Identifier: Apache-2.0 */
/* training_data: see training_data.h. */
#include "worker_gpu/trainer/training_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/model_config.h"
#include "storage/artifact.h"
#include "workflows/artifact_reference.h"
#include "workflows/finetune/dataset.h"
#include "workflows/finetune/fine_tune.h"

/* ---- labels ---- */

int training_labels_read(const json_t *stored, struct training_labels *ret_labels,
                         struct error *err)
{
    const json_t *list = json_object_get(stored, "labels"), *name;
    size_t count = json_array_size(list), place;
    if (count < 2 || count > DATASET_LABELS_MAX)
        return error_set(err, ERR_INVALID, "the stored dataset has %zu labels", count);
    const char **names = malloc(count * sizeof *names);
    if (names == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    json_array_foreach(list, place, name)
    {
        names[place] = json_string_value(name);
        if (names[place] == NULL || (place > 0 && strcmp(names[place - 1], names[place]) >= 0)) {
            free(names);
            return error_set(err, ERR_INVALID, "the stored dataset's labels are not in order");
        }
    }
    *ret_labels = (struct training_labels){names, (uint32_t)count};
    return 0;
}

void training_labels_fini(struct training_labels *labels)
{
    free(labels->names);
    *labels = (struct training_labels){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The label's id; the number of labels where there is none of that name. */
static uint32_t label_id(const struct training_labels *labels, const char *name)
{
    const char **found =
        bsearch(&name, labels->names, labels->count, sizeof *labels->names, compare_names);
    return found != NULL ? (uint32_t)(found - labels->names) : labels->count;
}

/* ---- examples ---- */

static int examples_read(int fd, const struct training_labels *labels, struct training_data *data,
                         struct error *err)
{
    struct dataset_reader *reader;
    struct dataset_line line;
    uint32_t count = 0;
    int code = dataset_reader_create(fd, &reader, err);
    if (code != 0)
        return code;
    while ((code = dataset_reader_next(reader, &line, err)) == 0 && line.type != DATASET_LINE_END) {
        uint32_t id =
            line.type == DATASET_LINE_EXAMPLE ? label_id(labels, line.label) : labels->count;
        if (id == labels->count || count == data->set.count) {
            code = error_set(err, ERR_CORRUPT, "line %llu of the stored examples is none of them",
                             (unsigned long long)line.number);
            break;
        }
        data->labels[count++] = (uint16_t)id;
    }
    dataset_reader_destroy(reader);
    if (code == 0 && count != data->set.count)
        code = error_set(err, ERR_CORRUPT, "the stored examples are %u, not %u", count,
                         data->set.count);
    return code;
}

static int examples_open(struct storage_client *storage, const json_t *part,
                         const struct training_labels *labels, struct training_data *data,
                         struct error *err)
{
    struct artifact examples;
    int code = artifact_reference_read(json_object_get(part, "examples"), &examples, err);
    if (code != 0)
        return code;
    json_int_t count = json_integer_value(json_object_get(part, "count"));
    if (count < 1 || count > DATASET_EXAMPLES_MAX)
        return error_set(err, ERR_INVALID, "a part of %lld examples", (long long)count);
    data->set.count = (uint32_t)count;
    data->labels = malloc((size_t)count * sizeof *data->labels);
    if (data->labels == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int fd;
    uint64_t size;
    code = artifact_open(storage, examples.id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    code = examples_read(fd, labels, data, err);
    close(fd);
    return code;
}

/* ---- vectors ---- */

static int chunk_map(struct storage_client *storage, const json_t *reference, size_t size_wanted,
                     struct training_data *data, struct error *err)
{
    struct artifact artifact;
    int fd;
    uint64_t size;
    int code = artifact_reference_read(reference, &artifact, err);
    if (code == 0)
        code = artifact_open(storage, artifact.id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    void *bytes = MAP_FAILED;
    if (size != size_wanted)
        code = error_set(err, ERR_INVALID, "a file of vectors has %llu bytes, not %zu",
                         (unsigned long long)size, size_wanted);
    else if ((bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        code = error_set_errno(err, ERR_IO, errno, "could not map a file of vectors");
    close(fd);
    if (code != 0)
        return code;
    data->chunk_sizes[data->chunk_count] = size;
    data->chunks[data->chunk_count++] = bytes;
    return 0;
}

static int vectors_open(struct storage_client *storage, const json_t *list,
                        struct training_data *data, struct error *err)
{
    size_t wanted = (data->set.count + FINE_TUNE_CHUNK - 1) / FINE_TUNE_CHUNK;
    if (json_array_size(list) != wanted)
        return error_set(err, ERR_INVALID, "%zu files of vectors for %u examples",
                         json_array_size(list), data->set.count);
    data->chunks = calloc(wanted, sizeof *data->chunks);
    data->chunk_sizes = calloc(wanted, sizeof *data->chunk_sizes);
    if (data->chunks == NULL || data->chunk_sizes == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < wanted; i++) {
        size_t left = data->set.count - i * FINE_TUNE_CHUNK;
        size_t rows = left < FINE_TUNE_CHUNK ? left : FINE_TUNE_CHUNK;
        int code = chunk_map(storage, json_array_get(list, i),
                             rows * data->set.width * sizeof(float), data, err);
        if (code != 0)
            return code;
    }
    return 0;
}

int training_data_open(struct storage_client *storage, const json_t *stored, const json_t *vectors,
                       const char *part, const struct training_labels *labels,
                       struct training_data *ret_data, struct error *err)
{
    struct training_data data = {0};
    json_int_t width = json_integer_value(json_object_get(vectors, "dimension"));
    if (width < 1 || width > MODEL_WIDTH_MAX)
        return error_set(err, ERR_INVALID, "vectors of dimension %lld", (long long)width);
    data.set.width = (uint32_t)width;
    data.set.chunk_rows = FINE_TUNE_CHUNK;
    int code = examples_open(storage, json_object_get(json_object_get(stored, "parts"), part),
                             labels, &data, err);
    if (code == 0)
        code = vectors_open(storage, json_object_get(vectors, part), &data, err);
    if (code != 0) {
        training_data_fini(&data);
        return error_prefix(err, "the part \"%s\"", part);
    }
    data.set.chunks = data.chunks;
    data.set.labels = data.labels;
    *ret_data = data;
    return 0;
}

void training_data_fini(struct training_data *data)
{
    for (uint32_t i = 0; i < data->chunk_count; i++)
        munmap((void *)data->chunks[i], data->chunk_sizes[i]);
    free(data->chunks);
    free(data->chunk_sizes);
    free(data->labels);
    *data = (struct training_data){0};
}
