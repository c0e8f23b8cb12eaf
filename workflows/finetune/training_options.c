/* SPDX-License-Identifier: Apache-2.0 */
/* training_options: see training_options.h. */
#include "workflows/finetune/training_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "workflows/finetune/dataset.h"
#include "workflows/json_members.h"

struct member {
    const char *name;
    bool is_integer;
    size_t offset;
    double least, most, usual;
};

static const struct member members[] = {
    {"seed", true, offsetof(struct training_options, seed), 0, 0x1p53, 42},
    {"epochs", true, offsetof(struct training_options, epochs), 1, 100000, 200},
    {"batch_size", true, offsetof(struct training_options, batch_size), 1, 65536, 32},
    {"patience", true, offsetof(struct training_options, patience), 0, 100000, 10},
    {"learning_rate", false, offsetof(struct training_options, learning_rate), 1e-7, 10, 0.02},
    {"weight_decay", false, offsetof(struct training_options, weight_decay), 0, 1, 0.01},
    {"warmup", false, offsetof(struct training_options, warmup), 0, 0.5, 0.05},
    {"validation_share", false, offsetof(struct training_options, validation_share),
     DATASET_SHARE_MIN, DATASET_SHARE_MAX, 0.1},
    {"held_out_share", false, offsetof(struct training_options, held_out_share), DATASET_SHARE_MIN,
     DATASET_SHARE_MAX, 0.2},
};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static const char *const schedule_names[] = {
    [TRAINING_COSINE] = "cosine", [TRAINING_LINEAR] = "linear", [TRAINING_CONSTANT] = "constant"};

enum { SCHEDULE_COUNT = sizeof schedule_names / sizeof schedule_names[0] };

static void member_set(struct training_options *options, const struct member *member, double value)
{
    char *place = (char *)options + member->offset;
    if (member->is_integer)
        *(int64_t *)(void *)place = (int64_t)value;
    else
        *(double *)(void *)place = value;
}

static int member_read(struct training_options *options, const struct member *member,
                       const json_t *value, struct error *err)
{
    if (member->is_integer ? !json_is_integer(value) : !json_is_number(value))
        return error_set(err, ERR_INVALID, "\"%s\" must be a %s", member->name,
                         member->is_integer ? "whole number" : "number");
    double number = json_number_value(value);
    if (!(number >= member->least && number <= member->most))
        return error_set(err, ERR_INVALID, "\"%s\" must be %.16g to %.16g, not %.16g", member->name,
                         member->least, member->most, number);
    member_set(options, member, number);
    return 0;
}

static int schedule_read(struct training_options *options, const json_t *value, struct error *err)
{
    for (int i = 0; i < SCHEDULE_COUNT && json_is_string(value); i++) {
        if (strcmp(json_string_value(value), schedule_names[i]) == 0) {
            options->schedule = (enum training_schedule)i;
            return 0;
        }
    }
    return error_set(err, ERR_INVALID,
                     "\"schedule\" must be \"cosine\", \"linear\" or \"constant\"");
}

int training_options_read(const json_t *object, struct training_options *ret_options,
                          struct error *err)
{
    struct training_options options = {0};
    const char *names[MEMBER_COUNT + 1] = {[MEMBER_COUNT] = "schedule"};
    if (object != NULL && !json_is_object(object))
        return error_set(err, ERR_INVALID, "\"training\" must be an object");
    for (int i = 0; i < MEMBER_COUNT; i++)
        names[i] = members[i].name;
    int code = json_members_check(object, names, MEMBER_COUNT + 1, err);
    for (int i = 0; code == 0 && i < MEMBER_COUNT; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        member_set(&options, &members[i], members[i].usual);
        if (value != NULL)
            code = member_read(&options, &members[i], value, err);
    }
    const json_t *schedule = json_object_get(object, "schedule");
    if (code == 0 && schedule != NULL)
        code = schedule_read(&options, schedule, err);
    if (code == 0)
        *ret_options = options;
    return code;
}

json_t *training_options_json(const struct training_options *options)
{
    json_t *object = json_pack("{s:s}", "schedule", schedule_names[options->schedule]);
    for (int i = 0; i < MEMBER_COUNT; i++) {
        const char *place = (const char *)options + members[i].offset;
        json_t *value = members[i].is_integer ? json_integer(*(const int64_t *)(const void *)place)
                                              : json_real(*(const double *)(const void *)place);
        if (json_object_set_new(object, members[i].name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}
