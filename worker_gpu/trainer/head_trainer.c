/* SPDX-License-Identifier: Apache-2.0 */
/* head_trainer: see head_trainer.h. Compiled without fused multiplication (CMakeLists.txt). */
#include "worker_gpu/trainer/head_trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "models/safetensors_writer.h"
#include "worker_gpu/trainer/head_state.h"
#include "worker_gpu/trainer/random.h"

/* Sums of a dot product run in this many lanes, which are added in a fixed order at the end: a
 * processor may do the lanes at once or one after another. */
#define LANES 8u

/* Examples of the validation set between two signs of life: with the most labels and the widest
 * encoder 64 of them take a second. */
#define TURN_EXAMPLES 64u

/* Places in the job's sequence of seeds. */
enum { SEED_INITIAL, SEED_SHUFFLE };

struct head_trainer {
    struct trainer base; /* first */

    /* configuration */
    struct head_trainer_options options;
    uint32_t label_count, width;
    uint64_t epoch_steps;

    /* persistent state; its status is base.status between calls */
    struct head_state state;

    /* in-memory state */
    uint32_t *order; /* of the epoch under way */
    uint64_t order_counter;
    bool is_ordered;
    double *gradient; /* [parameter_count] */
    double *scores;   /* [label_count] */
};

static struct head_trainer *head_of(struct trainer *trainer)
{
    return (struct head_trainer *)(void *)trainer;
}

/* ---- the model ---- */

static double dot(const double *weights, const float *features, uint32_t width)
{
    double lanes[LANES] = {0};
    uint32_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++)
            lanes[lane] += weights[i + lane] * (double)features[i + lane];
    }
    for (uint32_t lane = 0; i < width; i++, lane++)
        lanes[lane] += weights[i] * (double)features[i];
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/* Probabilities of an example into scores; returns its loss. *ret_best is the likeliest label. */
static double forward(struct head_trainer *head, const float *features, uint16_t label,
                      uint32_t *ret_best)
{
    const double *weights = head->state.parameters;
    const double *biases = weights + (size_t)head->label_count * head->width;
    double *scores = head->scores, sum = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < head->label_count; i++) {
        scores[i] = dot(weights + (size_t)i * head->width, features, head->width) + biases[i];
        if (scores[i] > scores[best])
            best = i;
    }
    double largest = scores[best], of_label = scores[label] - largest;
    for (uint32_t i = 0; i < head->label_count; i++) {
        scores[i] = exp(scores[i] - largest);
        sum += scores[i];
    }
    for (uint32_t i = 0; i < head->label_count; i++)
        scores[i] /= sum;
    *ret_best = best;
    return log(sum) - of_label;
}

/* Adds an example's share of the batch's gradient; returns its loss. */
static double backward(struct head_trainer *head, const float *features, uint16_t label,
                       double share)
{
    uint32_t best;
    double loss = forward(head, features, label, &best);
    double *biases = head->gradient + (size_t)head->label_count * head->width;
    for (uint32_t i = 0; i < head->label_count; i++) {
        double slope = (head->scores[i] - (i == label ? 1.0 : 0.0)) * share;
        double *row = head->gradient + (size_t)i * head->width;
        for (uint32_t k = 0; k < head->width; k++)
            row[k] += slope * (double)features[k];
        biases[i] += slope;
    }
    return loss;
}

/* ---- AdamW ---- */

/* The rate of a step, counted from 0. */
static double rate_at(const struct head_trainer *head, uint64_t step)
{
    const struct training_options *training = &head->options.training;
    double count = (double)head->base.status.step_count;
    double warm = floor(training->warmup * count), at = (double)step;
    if (at < warm)
        return training->learning_rate * (at + 1) / warm;
    double gone = (at - warm) / (count - warm);
    switch (training->schedule) {
    case TRAINING_COSINE:
        return training->learning_rate * 0.5 * (1 + cos(M_PI * gone));
    case TRAINING_LINEAR:
        return training->learning_rate * (1 - gone);
    case TRAINING_CONSTANT:
        return training->learning_rate;
    }
    UNREACHABLE();
}

static void update(struct head_trainer *head, double rate)
{
    struct head_state *state = &head->state;
    size_t weight_count = (size_t)head->label_count * head->width;
    state->beta1_power *= HEAD_BETA1;
    state->beta2_power *= HEAD_BETA2;
    double step_size = rate / (1 - state->beta1_power);
    double root = sqrt(1 - state->beta2_power);
    double keep = 1 - rate * head->options.training.weight_decay;
    for (size_t i = 0; i < state->parameter_count; i++) {
        double slope = head->gradient[i];
        double moment1 = HEAD_BETA1 * state->moment1[i] + (1 - HEAD_BETA1) * slope;
        double moment2 = HEAD_BETA2 * state->moment2[i] + (1 - HEAD_BETA2) * slope * slope;
        double kept = i < weight_count ? state->parameters[i] * keep : state->parameters[i];
        state->moment1[i] = moment1;
        state->moment2[i] = moment2;
        state->parameters[i] = kept - step_size * moment1 / (sqrt(moment2) / root + HEAD_EPSILON);
    }
}

/* ---- epochs ---- */

/* The order of the epoch under way: made where it is not there yet. */
static void order_make(struct head_trainer *head)
{
    uint64_t counter = head->state.random_counter;
    if (head->is_ordered && head->order_counter == counter)
        return;
    uint32_t count = head->options.train->count;
    uint64_t seed = random_at((uint64_t)head->options.training.seed, SEED_SHUFFLE);
    for (uint32_t i = 0; i < count; i++)
        head->order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = random_below(seed, counter + (count - 1 - i), i + 1);
        uint32_t kept = head->order[i];
        head->order[i] = head->order[other];
        head->order[other] = kept;
    }
    head->order_counter = counter;
    head->is_ordered = true;
}

static void validate(struct head_trainer *head)
{
    const struct training_set *set = head->options.validation;
    uint32_t right = 0, best;
    double loss = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (i % TURN_EXAMPLES == 0 && head->options.on_turn != NULL)
            head->options.on_turn(head->options.arg);
        loss += forward(head, training_set_row(set, i), set->labels[i], &best);
        right += best == set->labels[i];
    }
    head->base.status.validation_loss = loss / set->count;
    head->base.status.validation_accuracy = (double)right / set->count;
}

static void epoch_end(struct head_trainer *head)
{
    struct trainer_status *status = &head->base.status;
    struct head_state *state = &head->state;
    uint32_t count = head->options.train->count;
    status->epoch++;
    status->loss = state->loss_sum / count;
    state->loss_sum = 0;
    state->random_counter += count - 1;
    validate(head);
    if (status->best_epoch == 0 || status->validation_loss < status->best_loss) {
        status->best_epoch = status->epoch;
        status->best_loss = status->validation_loss;
        status->best_accuracy = status->validation_accuracy;
        memcpy(state->best, state->parameters, state->parameter_count * sizeof *state->best);
    }
    int64_t patience = head->options.training.patience;
    status->is_stopped_early = patience > 0 && status->epoch - status->best_epoch >= patience;
    status->is_done = status->is_stopped_early || status->step == status->step_count;
}

/* ---- operations ---- */

static int head_step(struct trainer *trainer, struct error *err)
{
    struct head_trainer *head = head_of(trainer);
    struct trainer_status *status = &head->base.status;
    const struct training_set *train = head->options.train;
    ASSERT(!status->is_done);
    order_make(head);
    uint64_t batch = (uint64_t)head->options.training.batch_size;
    uint64_t first = status->step % head->epoch_steps * batch;
    uint64_t end = first + batch < train->count ? first + batch : train->count;
    double share = 1.0 / (double)(end - first), loss = 0;
    memset(head->gradient, 0, head->state.parameter_count * sizeof *head->gradient);
    for (uint64_t i = first; i < end; i++) {
        uint32_t row = head->order[i];
        loss += backward(head, training_set_row(train, row), train->labels[row], share);
    }
    if (!isfinite(loss))
        return error_set(err, ERR_RANGE,
                         "the loss is no finite number in step %llu: a smaller learning rate helps",
                         (unsigned long long)status->step + 1);
    update(head, rate_at(head, status->step));
    head->state.loss_sum += loss;
    status->step++;
    if (status->step % head->epoch_steps == 0)
        epoch_end(head);
    return 0;
}

static int head_save(const struct trainer *trainer, struct buffer *out, struct error *err)
{
    const struct head_trainer *head = head_of((struct trainer *)trainer);
    struct head_state state = head->state;
    state.status = head->base.status;
    return head_state_write(&state, head->options.job, out, err);
}

/* Counters that no training of this length could have. */
static bool is_consistent(const struct head_trainer *head, const struct head_state *state)
{
    const struct trainer_status *status = &state->status;
    uint64_t epoch_draws = head->options.train->count - 1;
    return status->step <= head->base.status.step_count &&
           status->epoch == status->step / head->epoch_steps &&
           status->best_epoch <= status->epoch && (status->best_epoch > 0) == (status->epoch > 0) &&
           state->random_counter == status->epoch * epoch_draws;
}

static int head_load(struct trainer *trainer, const void *data, size_t size, struct error *err)
{
    struct head_trainer *head = head_of(trainer);
    struct head_state state;
    int code = head_state_init(&state, head->state.parameter_count, err);
    if (code != 0)
        return code;
    code = head_state_read(&state, head->options.job, data, size, err);
    if (code == 0 && !is_consistent(head, &state))
        code = error_set(err, ERR_CORRUPT, "its counters do not fit each other");
    if (code != 0) {
        head_state_fini(&state);
        return code;
    }
    state.status.step_count = head->base.status.step_count;
    head_state_fini(&head->state);
    head->state = state;
    head->base.status = state.status;
    return 0;
}

static int head_export(const struct trainer *trainer, struct buffer *out, struct error *err)
{
    const struct head_trainer *head = head_of((struct trainer *)trainer);
    const struct head_state *state = &head->state;
    ASSERT(head->base.status.best_epoch > 0);
    float *values = malloc(state->parameter_count * sizeof *values);
    if (values == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < state->parameter_count; i++)
        values[i] = (float)state->best[i];
    const uint64_t shape[] = {head->label_count, head->width};
    const struct tensor tensors[] = {
        tensor_over("classifier.weight", TENSOR_F32, 2, shape, values),
        tensor_over("classifier.bias", TENSOR_F32, 1, shape,
                    values + (size_t)head->label_count * head->width),
    };
    safetensors_write(tensors, 2, out);
    free(values);
    return out->failed ? error_set(err, ERR_MEMORY, "out of memory") : 0;
}

static void head_destroy(struct trainer *trainer)
{
    struct head_trainer *head = head_of(trainer);
    head_state_fini(&head->state);
    free(head->order);
    free(head->gradient);
    free(head->scores);
    free(head);
}

static const struct trainer_operations head_operations = {
    .step = head_step,
    .save = head_save,
    .load = head_load,
    .export = head_export,
    .destroy = head_destroy,
};

/* ---- making ---- */

/* Uniform with the variance 1/(3 width), as linear layers commonly begin; biases begin at 0. */
static void initialise(struct head_trainer *head)
{
    uint64_t seed = random_at((uint64_t)head->options.training.seed, SEED_INITIAL);
    double scale = 1 / sqrt((double)head->width);
    size_t weight_count = (size_t)head->label_count * head->width;
    for (size_t i = 0; i < weight_count; i++)
        head->state.parameters[i] = scale * random_unit(seed, i);
    head->state.beta1_power = 1;
    head->state.beta2_power = 1;
    uint64_t batch = (uint64_t)head->options.training.batch_size;
    head->epoch_steps = (head->options.train->count + batch - 1) / batch;
    head->base.status = (struct trainer_status){
        .step_count = head->epoch_steps * (uint64_t)head->options.training.epochs};
}

int head_trainer_create(const struct head_trainer_options *options, struct trainer **ret_trainer,
                        struct error *err)
{
    const struct training_set *train = options->train, *validation = options->validation;
    if (options->label_count < 2 || train->count == 0 || validation->count == 0 ||
        train->width == 0 || train->width != validation->width)
        return error_set(err, ERR_INVALID,
                         "a head is trained on at least 2 labels and on examples of one width");
    struct head_trainer *head = calloc(1, sizeof *head);
    if (head == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    head->base.operations = &head_operations;
    head->options = *options;
    head->label_count = options->label_count;
    head->width = train->width;
    size_t parameter_count = (size_t)head->label_count * (head->width + 1);
    int code = head_state_init(&head->state, parameter_count, err);
    head->order = malloc(train->count * sizeof *head->order);
    head->gradient = malloc(parameter_count * sizeof *head->gradient);
    head->scores = malloc(head->label_count * sizeof *head->scores);
    if (code == 0 && (head->order == NULL || head->gradient == NULL || head->scores == NULL))
        code = error_set(err, ERR_MEMORY, "out of memory");
    if (code != 0) {
        head_destroy(&head->base);
        return code;
    }
    initialise(head);
    *ret_trainer = &head->base;
    return 0;
}
