/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_reading: see artifact_reading.h. */
#include "storage/artifacts/artifact_reading.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"

#define PART_SIZE ((size_t)256 * 1024)

/* A content that is being read. */
struct reading {
    struct digest digest;
    uint64_t offset;
    struct hasher *hasher; /* of what was read; NULL: unused */
    uint64_t left_ns;      /* when it was left */
};

struct artifact_readings {
    struct artifact_store *store;
    pthread_mutex_t mutex;
    struct reading left[READINGS_LEFT_MAX];
};

int artifact_readings_create(struct artifact_store *store, struct artifact_readings **ret_readings,
                             struct error *err)
{
    struct artifact_readings *readings = calloc(1, sizeof *readings);
    if (readings == NULL)
        return error_set(err, ERR_MEMORY, "no memory to read artifacts");
    readings->store = store;
    pthread_mutex_init(&readings->mutex, NULL);
    *ret_readings = readings;
    return 0;
}

void artifact_readings_destroy(struct artifact_readings *readings)
{
    if (readings == NULL)
        return;
    for (size_t i = 0; i < READINGS_LEFT_MAX; i++)
        hasher_destroy(readings->left[i].hasher);
    pthread_mutex_destroy(&readings->mutex);
    free(readings);
}

/* The reading of digest that was left, or a new one. */
static struct reading take(struct artifact_readings *readings, const struct digest *digest)
{
    struct reading reading = {.digest = *digest};
    pthread_mutex_lock(&readings->mutex);
    for (size_t i = 0; reading.hasher == NULL && i < READINGS_LEFT_MAX; i++) {
        struct reading *left = &readings->left[i];
        if (left->hasher != NULL && digest_equal(&left->digest, digest)) {
            reading = *left;
            *left = (struct reading){0};
        }
    }
    pthread_mutex_unlock(&readings->mutex);
    if (reading.hasher == NULL)
        reading.hasher = hasher_create();
    return reading;
}

static void leave(struct artifact_readings *readings, const struct reading *reading)
{
    pthread_mutex_lock(&readings->mutex);
    struct reading *oldest = &readings->left[0]; /* unused ones were left at 0 */
    for (size_t i = 1; i < READINGS_LEFT_MAX; i++) {
        if (readings->left[i].left_ns < oldest->left_ns)
            oldest = &readings->left[i];
    }
    hasher_destroy(oldest->hasher);
    *oldest = *reading;
    oldest->left_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&readings->mutex);
}

/* 1 at the end of the content, 0 where time is up. */
static int read_on(struct artifact_store *store, struct reading *reading, uint64_t end_ns,
                   struct error *err)
{
    uint8_t *part = malloc(PART_SIZE);
    if (part == NULL)
        return error_set(err, ERR_MEMORY, "no memory to read artifacts");
    size_t length;
    uint64_t size;
    int code;
    do {
        code = store->ops->read(store, &reading->digest, reading->offset, part, PART_SIZE, &length,
                                &size, err);
        if (code != 0)
            break;
        hasher_add(reading->hasher, part, length);
        reading->offset += length;
        code = length < PART_SIZE ? 1 : 0;
    } while (code == 0 && clock_monotonic_ns() < end_ns);
    free(part);
    return code;
}

int artifact_readings_go_on(struct artifact_readings *readings, const struct digest *digest,
                            uint64_t end_ns, uint64_t *bytes, struct artifact_verdict *ret_verdict,
                            struct error *err)
{
    struct reading reading = take(readings, digest);
    if (reading.hasher == NULL)
        return error_set(err, ERR_MEMORY, "no memory to read artifacts");
    uint64_t begin = reading.offset;
    int code = read_on(readings->store, &reading, end_ns, err);
    *bytes += reading.offset - begin;
    if (code == 0) {
        leave(readings, &reading);
        return 0;
    }
    if (code == 1) {
        struct digest found = digest_of_hasher(reading.hasher);
        *ret_verdict = (struct artifact_verdict){digest_equal(&found, digest), reading.offset};
    }
    hasher_destroy(reading.hasher);
    return code;
}
