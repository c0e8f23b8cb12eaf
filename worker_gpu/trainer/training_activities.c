/* SPDX-License-Identifier: Apache-2.0 */
/* training_activities: see training_activities.h. */
#include "worker_gpu/artifact_bytes.h"
#include "worker_gpu/trainer/training_activities.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "worker_gpu/trainer/head_model.h"
#include "worker_gpu/trainer/training_activity.h"
#include "worker_gpu/trainer/training_inputs.h"
#include "workflows/artifact_reference.h"
#include "workflows/classification.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* Examples between two heartbeats of an evaluation. */
#define EVALUATE_STRIDE 1024u

/* ---- evaluate_classifier ---- */

struct evaluation {
    const struct training_context *context;
    struct training_inputs inputs;
    struct training_data held_out;
    struct head_model head;
    struct classification classification;
};

static void evaluation_close(struct evaluation *evaluation)
{
    classification_fini(&evaluation->classification);
    head_model_fini(&evaluation->head);
    training_data_fini(&evaluation->held_out);
    training_inputs_fini(&evaluation->inputs);
}

static int head_open(struct evaluation *evaluation, struct error *err)
{
    struct artifact artifact;
    struct buffer data = {0};
    int code = artifact_reference_read(json_object_get(evaluation->inputs.trained, "head"),
                                       &artifact, err);
    if (code == 0)
        code = artifact_bytes_read(evaluation->context->storage, &artifact, TRAINING_ARTIFACT_MAX,
                                   &data, err);
    if (code == 0)
        code = head_model_read(data.data, data.size, evaluation->inputs.labels.count,
                               evaluation->held_out.set.width, &evaluation->head, err);
    buffer_fini(&data);
    return code;
}

static int evaluation_open(struct evaluation *evaluation, struct argosy_activity *activity,
                           struct error *err)
{
    struct training_inputs *inputs = &evaluation->inputs;
    int code = training_inputs_read(activity, 4, inputs, err);
    if (code == 0)
        code = training_data_open(evaluation->context->storage, inputs->stored, inputs->vectors,
                                  "held_out", &inputs->labels, &evaluation->held_out, err);
    if (code == 0)
        code = head_open(evaluation, err);
    if (code == 0)
        code = classification_init(&evaluation->classification, inputs->labels.count, err);
    return code;
}

static int evaluate(struct evaluation *evaluation, struct argosy_activity *activity,
                    struct error *err)
{
    const struct training_set *set = &evaluation->held_out.set;
    for (uint32_t i = 0; i < set->count; i++) {
        if (i % EVALUATE_STRIDE == 0)
            argosy_activity_heartbeat(activity, NULL);
        if (argosy_activity_is_canceled(activity))
            return error_set(err, ERR_CANCELED, "the evaluation was canceled");
        classification_add(&evaluation->classification, set->labels[i],
                           head_model_classify(&evaluation->head, training_set_row(set, i), NULL));
    }
    return 0;
}

int evaluate_classifier(struct argosy_activity *activity, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct evaluation evaluation = {.context = user_data};
    struct error why;
    int code = evaluation_open(&evaluation, activity, &why);
    if (code == 0)
        code = evaluate(&evaluation, activity, &why);
    if (code == 0)
        code = json_payload_write(
            classification_json(&evaluation.classification, evaluation.inputs.labels.names), arena,
            ret_result, &why);
    evaluation_close(&evaluation);
    return code == 0 ? 0 : failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
}

/* ---- registration ---- */

int training_activities_register(const struct training_context *context,
                                 struct argosy_registry *registry, struct error *err)
{
    struct argosy_error why = {0};
    void *user_data = (void *)(uintptr_t)context;
    int code = argosy_registry_add_activity(registry, ACTIVITY_TRAIN_CLASSIFIER, train_classifier,
                                            user_data, &why);
    if (code == 0)
        code = argosy_registry_add_activity(registry, ACTIVITY_EVALUATE_CLASSIFIER,
                                            evaluate_classifier, user_data, &why);
    return code == 0 ? 0 : error_set(err, code, "could not register activities: %s", why.text);
}
