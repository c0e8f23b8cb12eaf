/* SPDX-License-Identifier: Apache-2.0 */
/* vectors: see vectors.h. The input becomes documents of CHUNKS chunks, named by their number, so
 * that document and ordinal are a row of the input. */
#include "bench/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fleet_config.h"
#include "storage/vectors.h"

#define CHUNKS     1000
#define COLLECTION "bench"
#define MODEL      "bench"

/* A file of floats. */
struct matrix {
    const float *values;
    size_t rows;
    size_t size;
};

static int matrix_open(const char *path, uint32_t dimension, struct matrix *ret_matrix,
                       struct error *err)
{
    struct stat st;
    size_t row = dimension * sizeof(float);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int code = error_set_errno(err, ERR_IO, errno, "could not open %s", path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    size_t size = (size_t)st.st_size;
    void *map =
        size > 0 && size % row == 0 ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED)
        return error_set(err, ERR_IO, "%s: cannot be read as vectors of %u floats", path,
                         dimension);
    *ret_matrix = (struct matrix){map, size / row, size};
    return 0;
}

static void matrix_close(struct matrix *matrix)
{
    if (matrix->values != NULL)
        munmap((void *)(uintptr_t)matrix->values, matrix->size);
}

static int put_document(struct storage_client *client, const struct vectors_options *options,
                        const struct matrix *input, size_t first, struct error *err)
{
    static struct vector_chunk chunks[CHUNKS];
    char name[24];
    uint32_t count = 0;
    snprintf(name, sizeof name, "%09zu", first / CHUNKS);
    for (; count < CHUNKS && first + count < input->rows; count++) {
        chunks[count] =
            (struct vector_chunk){.ordinal = count,
                                  .text = name,
                                  .text_size = strlen(name),
                                  .vector = input->values + (first + count) * options->dimension};
        memcpy(chunks[count].hash, &count, sizeof count);
    }
    const struct vector_upload_options upload = {.collection = COLLECTION,
                                                 .document = name,
                                                 .upload = "1",
                                                 .model = MODEL,
                                                 .dimension = options->dimension};
    int code = vectors_upload(client, &upload, chunks, count, err);
    return code == 0 ? vectors_commit(client, &upload, count, NULL, err) : code;
}

/* One search; its milliseconds, and its neighbours as rows of the input. */
static int search(struct storage_client *client, const struct vectors_options *options,
                  const float *vector, double *ret_ms, json_t **ret_rows, struct error *err)
{
    const struct vector_query query = {.collection = COLLECTION,
                                       .model = MODEL,
                                       .vector = vector,
                                       .dimension = options->dimension,
                                       .neighbour_count = options->neighbours};
    const struct vector_neighbour *neighbours;
    size_t count;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    uint64_t started_ns = clock_monotonic_ns();
    int code = vectors_search(client, &query, &arena, &neighbours, &count, err);
    *ret_ms = (double)(clock_monotonic_ns() - started_ns) / 1e6;
    *ret_rows = json_array();
    for (size_t i = 0; code == 0 && i < count; i++)
        json_array_append_new(
            *ret_rows, json_integer(atol(neighbours[i].document) * CHUNKS + neighbours[i].ordinal));
    arena_fini(&arena);
    return code;
}

static int measure(struct storage_client *client, const struct vectors_options *options,
                   const struct matrix *input, const struct matrix *queries, json_t *result,
                   struct error *err)
{
    json_t *times = json_array(), *lists = json_array(), *rows;
    double ms = 0;
    json_object_set_new(result, "search_ms", times);
    json_object_set_new(result, "neighbours", lists);
    int code = 0;
    uint64_t started_ns = clock_monotonic_ns();
    for (size_t first = 0; code == 0 && first < input->rows; first += CHUNKS)
        code = put_document(client, options, input, first, err);
    double fill_s = (double)(clock_monotonic_ns() - started_ns) / 1e9;
    json_object_set_new(result, "count", json_integer((json_int_t)input->rows));
    json_object_set_new(result, "fill_s", json_real(fill_s));
    /* The first one brings the collection into memory. */
    if (code == 0) {
        code = search(client, options, queries->values, &ms, &rows, err);
        json_decref(rows);
        json_object_set_new(result, "first_search_ms", json_real(ms));
    }
    for (size_t i = 0; code == 0 && i < queries->rows; i++) {
        code = search(client, options, queries->values + i * options->dimension, &ms, &rows, err);
        json_array_append_new(times, json_real(ms));
        json_array_append_new(lists, rows);
    }
    return code;
}

int vectors_measure(const struct vectors_options *options, struct error *err)
{
    struct matrix input = {0}, queries = {0};
    struct fleet_config *config = NULL;
    struct storage_client *client = NULL;
    json_t *result = json_object();
    int code = matrix_open(options->input, options->dimension, &input, err);
    if (code == 0)
        code = matrix_open(options->queries, options->dimension, &queries, err);
    if (code == 0)
        code = fleet_config_load(options->config, &config, err);
    if (code == 0)
        code = storage_client_open(config, NULL, &client, err);
    if (code == 0)
        code = measure(client, options, &input, &queries, result, err);
    if (code == 0) {
        json_dumpf(result, stdout, JSON_COMPACT);
        putchar('\n');
    }
    storage_client_close(client);
    fleet_config_destroy(config);
    matrix_close(&queries);
    matrix_close(&input);
    json_decref(result);
    return code;
}
