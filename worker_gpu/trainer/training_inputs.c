/* SPDX-License-Identifier: Apache-2.0 */
/* training_inputs: see training_inputs.h. */
#include "worker_gpu/trainer/training_inputs.h"

#include "models/sha256.h"
#include "workflows/json_payload.h"

/* Payloads are hashed with their lengths before them, so that no two lists look the same. */
static int job_name(struct argosy_payloads inputs, uint8_t ret_job[TRAINER_JOB_SIZE],
                    struct error *err)
{
    struct buffer bytes = {0};
    for (size_t i = 0; i < inputs.count; i++) {
        buffer_printf(&bytes, "%zu:", inputs.items[i].size);
        buffer_append(&bytes, inputs.items[i].data, inputs.items[i].size);
    }
    int code = bytes.failed ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    if (code == 0 && sha256_of_bytes(bytes.data, bytes.size, ret_job) != 0)
        code = error_set(err, ERR_INTERNAL, "could not compute a SHA-256");
    buffer_fini(&bytes);
    return code;
}

int training_inputs_read(struct argosy_activity *activity, size_t count,
                         struct training_inputs *ret_inputs, struct error *err)
{
    *ret_inputs = (struct training_inputs){0};
    struct argosy_payloads inputs = argosy_activity_inputs(activity);
    if (inputs.count != count)
        return error_set(err, ERR_INVALID, "the activity takes %zu arguments, not %zu", count,
                         inputs.count);
    int code = fine_tune_request_read(&inputs.items[0], argosy_activity_arena(activity),
                                      &ret_inputs->request, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[1], &ret_inputs->stored, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[2], &ret_inputs->vectors, err);
    if (code == 0 && count > 3)
        code = json_payload_read(&inputs.items[3], &ret_inputs->trained, err);
    if (code == 0)
        code = training_labels_read(ret_inputs->stored, &ret_inputs->labels, err);
    if (code == 0)
        code = job_name(inputs, ret_inputs->job, err);
    return code;
}

void training_inputs_fini(struct training_inputs *inputs)
{
    training_labels_fini(&inputs->labels);
    json_decref(inputs->stored);
    json_decref(inputs->vectors);
    json_decref(inputs->trained);
    *inputs = (struct training_inputs){0};
}
