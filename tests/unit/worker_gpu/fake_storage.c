/* SPDX-License-Identifier: Apache-2.0 */
/* fake_storage: see fake_storage.h. One lock for everything: tests are small. */
#include "tests/unit/worker_gpu/fake_storage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "models/file.h"
#include "models/sha256.h"
#include "storage/model_reference.h"

#define ARTIFACTS_MAX 256
#define SIZE_MAX_READ ((size_t)64 << 20)

struct kept {
    char id[ARTIFACT_ID_SIZE];
    void *data;
    size_t size;
};

atomic_int fake_storage_code;
atomic_uint fake_storage_puts, fake_storage_opens, fake_storage_model_gets;
const struct registered_model *fake_storage_models;
size_t fake_storage_model_count;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[ARTIFACTS_MAX];
static size_t kept_count;

/* With the mutex held. */
static struct kept *find(const char *id)
{
    for (size_t i = 0; i < kept_count; i++) {
        if (strcmp(kept[i].id, id) == 0)
            return &kept[i];
    }
    return NULL;
}

const void *fake_storage_get(const char *id, size_t *ret_size)
{
    pthread_mutex_lock(&mutex);
    const struct kept *artifact = find(id);
    pthread_mutex_unlock(&mutex);
    if (artifact == NULL)
        return NULL;
    *ret_size = artifact->size;
    return artifact->data;
}

void fake_storage_clear(void)
{
    for (size_t i = 0; i < kept_count; i++)
        free(kept[i].data);
    kept_count = 0;
}

int artifact_put_bytes(struct storage_client *client, const void *data, size_t size,
                       const char *owner, struct artifact *ret_artifact, struct error *err)
{
    (void)client;
    ASSERT(strcmp(owner, "workflow:workflow") == 0);
    atomic_fetch_add(&fake_storage_puts, 1);
    int code = atomic_load(&fake_storage_code);
    if (code != 0)
        return error_set(err, code, "made to fail");
    struct artifact artifact = {.size = size};
    uint8_t digest[SHA256_SIZE];
    ASSERT(sha256_of_bytes(data, size, digest) == 0);
    strcpy(artifact.id, "sha256:");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(artifact.id + 7 + 2 * i, 3, "%02x", digest[i]);
    pthread_mutex_lock(&mutex);
    if (find(artifact.id) == NULL) {
        ASSERT(kept_count < ARTIFACTS_MAX);
        struct kept *new = &kept[kept_count++];
        memcpy(new->id, artifact.id, sizeof new->id);
        new->data = malloc(size + 1);
        ASSERT(new->data != NULL);
        memcpy(new->data, data, size);
        new->size = size;
    }
    pthread_mutex_unlock(&mutex);
    *ret_artifact = artifact;
    return 0;
}

int artifact_put_file(struct storage_client *client, const char *path, const char *owner,
                      artifact_progress_fn *progress, void *context, struct artifact *ret_artifact,
                      struct error *err)
{
    (void)progress;
    (void)context;
    char *data;
    size_t size;
    int code = file_read(path, SIZE_MAX_READ, &data, &size, err);
    if (code != 0)
        return code;
    code = artifact_put_bytes(client, data, size, owner, ret_artifact, err);
    free(data);
    return code;
}

int artifact_open(struct storage_client *client, const char *id, artifact_progress_fn *progress,
                  void *context, int *ret_fd, uint64_t *ret_size, struct error *err)
{
    (void)client;
    (void)progress;
    (void)context;
    size_t size;
    atomic_fetch_add(&fake_storage_opens, 1);
    const void *data = fake_storage_get(id, &size);
    if (data == NULL)
        return error_set(err, ERR_NOT_FOUND, "there is no artifact %s", id);
    FILE *file = tmpfile();
    ASSERT(file != NULL && fwrite(data, 1, size, file) == size && fflush(file) == 0);
    int fd = dup(fileno(file));
    fclose(file);
    ASSERT(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
    *ret_fd = fd;
    *ret_size = size;
    return 0;
}

int model_get(struct storage_client *client, const char *name, struct arena *arena,
              const struct registered_model **ret_model, struct error *err)
{
    (void)client;
    (void)arena;
    const struct registered_model *newest = NULL;
    struct model_reference reference;
    atomic_fetch_add(&fake_storage_model_gets, 1);
    int code = atomic_load(&fake_storage_code);
    if (code != 0)
        return error_set(err, code, "made to fail");
    code = model_reference_parse(name, &reference, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < fake_storage_model_count; i++) {
        const struct registered_model *model = &fake_storage_models[i];
        if (strcmp(model->name, reference.name) == 0 &&
            (reference.version == 0 || reference.version == model->version))
            newest = model;
    }
    if (newest == NULL)
        return error_set(err, ERR_NOT_FOUND, "there is no model %s", name);
    *ret_model = newest;
    return 0;
}

int model_list(struct storage_client *client, struct arena *arena,
               const struct registered_model **ret_models, size_t *ret_count, struct error *err)
{
    (void)client;
    (void)arena;
    (void)err;
    *ret_models = fake_storage_models;
    *ret_count = fake_storage_model_count;
    return 0;
}
