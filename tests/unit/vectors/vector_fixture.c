/* SPDX-License-Identifier: Apache-2.0 */
/* vector_fixture: see vector_fixture.h. */
#include "tests/unit/vectors/vector_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/vectors/postgres_fixture.h"

void ok(int code, const struct error *err)
{
    if (code != 0)
        fail_msg("%s", err->text);
}

static void folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(dir);
    rmdir(folder);
}

static void open_store(struct vector_fixture *fixture)
{
    struct error err = {0};
    const struct vector_store_options options = {.address = fixture->address,
                                                 .password_file = postgres_password_file(),
                                                 .folder = fixture->folder,
                                                 .memory_bytes = fixture->memory_bytes,
                                                 .thread_count = 2};
    ok(vector_store_open(&options, &fixture->store, &err), &err);
}

void fixture_open(struct vector_fixture *fixture, const char *address)
{
    *fixture = (struct vector_fixture){.memory_bytes = (size_t)1 << 30};
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/argosy-vectors-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->address, sizeof fixture->address, "%s", address);
    if (strcmp(address, "sqlite") != 0)
        postgres_run_sql(address, "DROP SCHEMA IF EXISTS argosy CASCADE");
    arena_init(&fixture->arena, ARENA_NO_LIMIT);
    open_store(fixture);
}

void fixture_close(struct vector_fixture *fixture)
{
    vector_store_close(fixture->store);
    arena_fini(&fixture->arena);
    folder_remove(fixture->folder);
}

void fixture_reopen(struct vector_fixture *fixture)
{
    vector_store_close(fixture->store);
    open_store(fixture);
}

float random_value(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

void random_vector(uint64_t *state, float *ret_vector, uint32_t dimension)
{
    for (uint32_t i = 0; i < dimension; i++)
        ret_vector[i] = random_value(state);
}

void axis_vector(float ret_vector[DIMENSION], uint32_t axis, float turn)
{
    memset(ret_vector, 0, DIMENSION * sizeof(float));
    ret_vector[axis % DIMENSION] = 1;
    ret_vector[(axis + 1) % DIMENSION] = turn;
}

void hash_of(uint32_t number, uint8_t ret_hash[VECTOR_HASH_SIZE])
{
    for (size_t i = 0; i < VECTOR_HASH_SIZE; i++)
        ret_hash[i] = (uint8_t)(number >> (8 * (i % 4)));
}

struct vector_upload_options upload_of(const char *collection, const char *document,
                                       const char *upload)
{
    return (struct vector_upload_options){.collection = collection,
                                          .document = document,
                                          .upload = upload,
                                          .model = MODEL,
                                          .dimension = DIMENSION};
}

void put_chunk(struct vector_fixture *fixture, const struct vector_upload_options *options,
               uint32_t ordinal, uint32_t seed, const char *metadata, bool with_vector)
{
    float vector[DIMENSION];
    char text[32];
    struct error err = {0};
    axis_vector(vector, seed, (float)seed / 1000);
    snprintf(text, sizeof text, "text %u", seed);
    struct vector_chunk chunk = {.ordinal = ordinal,
                                 .text = text,
                                 .text_size = strlen(text),
                                 .metadata = metadata,
                                 .vector = with_vector ? vector : NULL};
    hash_of(seed, chunk.hash);
    ok(vector_store_upload(fixture->store, options, &chunk, 1, &err), &err);
}

void put_document(struct vector_fixture *fixture, const char *collection, const char *document,
                  const char *upload, uint32_t first_seed, uint32_t count, const char *metadata)
{
    struct vector_upload_options options = upload_of(collection, document, upload);
    struct error err = {0};
    for (uint32_t i = 0; i < count; i++)
        put_chunk(fixture, &options, i, first_seed + i, NULL, true);
    ok(vector_store_commit(fixture->store, &options, count, metadata, &err), &err);
}

size_t search_all(struct vector_fixture *fixture, const char *collection, const char *filter,
                  struct vector_hit **ret_hits)
{
    float vector[DIMENSION];
    struct error err = {0};
    size_t count = 0;
    axis_vector(vector, 0, 0);
    const struct vector_query query = {.collection = collection,
                                       .model = MODEL,
                                       .vector = vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = VECTOR_NEIGHBOURS_MAX,
                                       .filter = filter};
    ok(vector_store_search(fixture->store, &query, SIZE_MAX, &fixture->arena, ret_hits, &count,
                           &err),
       &err);
    return count;
}
