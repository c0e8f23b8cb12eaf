/* SPDX-License-Identifier: Apache-2.0 */
/* head_state: see head_state.h. */
#include "worker_gpu/trainer/head_state.h"

#include <stdlib.h>
#include <string.h>

#include "models/safetensors.h"
#include "models/safetensors_writer.h"
#include "models/sha256.h"

#define STATE_VERSION                                                                              \
    1 /* counted up when what a state means changes: older ones are then refused */

enum { NUMBER_COUNT = 8, COUNTER_COUNT = 7 };

int head_state_init(struct head_state *state, size_t parameter_count, struct error *err)
{
    double *memory = calloc(4 * parameter_count, sizeof *memory);
    if (memory == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *state = (struct head_state){
        .parameter_count = parameter_count,
        .parameters = memory,
        .moment1 = memory + parameter_count,
        .moment2 = memory + 2 * parameter_count,
        .best = memory + 3 * parameter_count,
    };
    return 0;
}

void head_state_fini(struct head_state *state)
{
    free(state->parameters);
    *state = (struct head_state){0};
}

static void numbers_pack(const struct head_state *state, double numbers[NUMBER_COUNT],
                         uint64_t counters[COUNTER_COUNT])
{
    const struct trainer_status *status = &state->status;
    const double of_state[NUMBER_COUNT] = {state->beta1_power,      state->beta2_power,
                                           state->loss_sum,         status->loss,
                                           status->validation_loss, status->validation_accuracy,
                                           status->best_loss,       status->best_accuracy};
    const uint64_t from_state[COUNTER_COUNT] = {
        STATE_VERSION,      state->random_counter, status->epoch,           status->step,
        status->best_epoch, status->is_done,       status->is_stopped_early};
    memcpy(numbers, of_state, sizeof of_state);
    memcpy(counters, from_state, sizeof from_state);
}

static void numbers_unpack(struct head_state *state, const double numbers[NUMBER_COUNT],
                           const uint64_t counters[COUNTER_COUNT])
{
    state->beta1_power = numbers[0];
    state->beta2_power = numbers[1];
    state->loss_sum = numbers[2];
    state->random_counter = counters[1];
    state->status = (struct trainer_status){
        .loss = numbers[3],
        .validation_loss = numbers[4],
        .validation_accuracy = numbers[5],
        .best_loss = numbers[6],
        .best_accuracy = numbers[7],
        .epoch = (uint32_t)counters[2],
        .step = counters[3],
        .best_epoch = (uint32_t)counters[4],
        .is_done = counters[5] != 0,
        .is_stopped_early = counters[6] != 0,
    };
}

int head_state_write(const struct head_state *state, const uint8_t job[TRAINER_JOB_SIZE],
                     struct buffer *out, struct error *err)
{
    double numbers[NUMBER_COUNT];
    uint64_t counters[COUNTER_COUNT];
    static const uint8_t no_digest[SHA256_SIZE];
    const uint64_t parameters[] = {state->parameter_count}, number_shape[] = {NUMBER_COUNT};
    const uint64_t counter_shape[] = {COUNTER_COUNT}, hash_shape[] = {SHA256_SIZE};
    numbers_pack(state, numbers, counters);
    const struct tensor tensors[] = {
        tensor_over("parameters", TENSOR_F64, 1, parameters, state->parameters),
        tensor_over("moment1", TENSOR_F64, 1, parameters, state->moment1),
        tensor_over("moment2", TENSOR_F64, 1, parameters, state->moment2),
        tensor_over("best", TENSOR_F64, 1, parameters, state->best),
        tensor_over("numbers", TENSOR_F64, 1, number_shape, numbers),
        tensor_over("counters", TENSOR_U64, 1, counter_shape, counters),
        tensor_over("job", TENSOR_U8, 1, hash_shape, job),
        tensor_over("digest", TENSOR_U8, 1, hash_shape, no_digest),
    };
    size_t begin = out->size;
    safetensors_write(tensors, sizeof tensors / sizeof tensors[0], out);
    if (out->failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    size_t covered = out->size - begin - SHA256_SIZE;
    if (sha256_of_bytes(out->data + begin, covered, out->data + begin + covered) != 0)
        return error_set(err, ERR_INTERNAL, "could not compute a SHA-256");
    return 0;
}

/* Copies the tensor of that name, which must have this type and count. */
static int tensor_take(const struct safetensors *file, const char *name, enum tensor_dtype dtype,
                       size_t count, void *out, struct error *err)
{
    const struct tensor *tensor = safetensors_find(file, name);
    if (tensor == NULL || tensor->dtype != dtype || tensor->count != count)
        return error_set(err, ERR_CORRUPT, "it has no \"%s\" of %zu %s", name, count,
                         tensor_dtype_name(dtype));
    memcpy(out, tensor->data, tensor->size);
    return 0;
}

static int state_take(struct head_state *state, const uint8_t job[TRAINER_JOB_SIZE],
                      const struct safetensors *file, struct error *err)
{
    uint8_t from[TRAINER_JOB_SIZE];
    double numbers[NUMBER_COUNT];
    uint64_t counters[COUNTER_COUNT];
    int code = tensor_take(file, "job", TENSOR_U8, sizeof from, from, err);
    if (code == 0 && memcmp(from, job, sizeof from) != 0)
        return error_set(err, ERR_STATE, "it is of another job");
    const struct {
        const char *name;
        double *out;
    } arrays[] = {{"parameters", state->parameters},
                  {"moment1", state->moment1},
                  {"moment2", state->moment2},
                  {"best", state->best}};
    for (int i = 0; code == 0 && i < 4; i++)
        code = tensor_take(file, arrays[i].name, TENSOR_F64, state->parameter_count, arrays[i].out,
                           err);
    if (code == 0)
        code = tensor_take(file, "numbers", TENSOR_F64, NUMBER_COUNT, numbers, err);
    if (code == 0)
        code = tensor_take(file, "counters", TENSOR_U64, COUNTER_COUNT, counters, err);
    if (code != 0)
        return code;
    if (counters[0] != STATE_VERSION)
        return error_set(err, ERR_CORRUPT, "its version is not %d", STATE_VERSION);
    numbers_unpack(state, numbers, counters);
    return 0;
}

int head_state_read(struct head_state *state, const uint8_t job[TRAINER_JOB_SIZE], const void *data,
                    size_t size, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    if (size < SHA256_SIZE)
        return error_set(err, ERR_CORRUPT, "%zu bytes are no state of a training", size);
    size_t covered = size - SHA256_SIZE;
    if (sha256_of_bytes(data, covered, digest) != 0)
        return error_set(err, ERR_INTERNAL, "could not compute a SHA-256");
    if (memcmp(digest, (const uint8_t *)data + covered, SHA256_SIZE) != 0)
        return error_set(err, ERR_CORRUPT, "its SHA-256 is not the one it ends with");
    struct safetensors *file;
    int code = safetensors_parse(data, size, "the state", &file, err);
    if (code != 0)
        return code;
    code = state_take(state, job, file, err);
    safetensors_close(file);
    return code;
}
