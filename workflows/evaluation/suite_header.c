/* SPDX-License-Identifier: Apache-2.0 */
/* suite_header: the first line of a suite; see suite.h. */
#include <string.h>

#include "workflows/evaluation/suite.h"
#include "workflows/json_members.h"

static const char *const type_names[] = {[SUITE_CLASSIFICATION] = "classification",
                                         [SUITE_SIMILARITY] = "similarity",
                                         [SUITE_RETRIEVAL] = "retrieval"};

enum { TYPE_COUNT = sizeof type_names / sizeof type_names[0] };

static const char *const members[] = {"suite", "type",    "description",
                                      "k",     "minimum", "maximum_drop"};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static const uint32_t usual_cuts[] = {1, 3, 5, 10};

enum { USUAL_CUTS = sizeof usual_cuts / sizeof usual_cuts[0] };

const char *suite_type_name(enum suite_type type)
{
    return type_names[type];
}

int suite_name_check(const char *member, const char *name, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    if (name[0] == '\0' || strlen(name) > SUITE_NAME_MAX)
        return error_set(err, ERR_INVALID, "\"%s\" must have 1 to %d characters", member,
                         SUITE_NAME_MAX);
    if (name[strspn(name, allowed)] != '\0' || name[0] == '.')
        return error_set(err, ERR_INVALID,
                         "\"%s\" may have letters, digits, \".\", \"_\" and \"-\" only", member);
    return 0;
}

static int name_read(const json_t *header, struct suite *suite, struct error *err)
{
    const char *name = json_string_value(json_object_get(header, "suite"));
    if (name == NULL)
        return error_set(err, ERR_INVALID,
                         "the first line must be the suite's: {\"suite\": NAME, \"type\": ...}");
    int code = suite_name_check("suite", name, err);
    if (code == 0)
        strcpy(suite->name, name);
    return code;
}

static int type_read(const json_t *header, struct suite *suite, struct error *err)
{
    const char *name = json_string_value(json_object_get(header, "type"));
    for (int i = 0; name != NULL && i < TYPE_COUNT; i++) {
        if (strcmp(type_names[i], name) == 0) {
            suite->type = (enum suite_type)i;
            return 0;
        }
    }
    return error_set(err, ERR_INVALID,
                     "\"type\" must be \"classification\", \"similarity\" or \"retrieval\"");
}

static int description_read(const json_t *header, struct suite *suite, struct error *err)
{
    const json_t *description = json_object_get(header, "description");
    suite->description = "";
    if (description == NULL)
        return 0;
    if (!json_is_string(description) || json_string_length(description) > SUITE_DESCRIPTION_MAX)
        return error_set(err, ERR_INVALID, "\"description\" must be a text of at most %d bytes",
                         SUITE_DESCRIPTION_MAX);
    suite->description = arena_strdup(&suite->arena, json_string_value(description));
    return suite->description != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

static int cuts_read(const json_t *header, struct suite *suite, struct error *err)
{
    const json_t *cuts = json_object_get(header, "k");
    if (suite->type != SUITE_RETRIEVAL)
        return cuts == NULL ? 0 : error_set(err, ERR_INVALID, "\"k\" is for retrieval only");
    if (cuts == NULL) {
        memcpy(suite->cuts, usual_cuts, sizeof usual_cuts);
        suite->cut_count = USUAL_CUTS;
        return 0;
    }
    size_t count = json_array_size(cuts);
    json_int_t before = 0;
    for (size_t i = 0; i < count && i < METRIC_CUTS_MAX; i++) {
        json_int_t cut = json_integer_value(json_array_get(cuts, i));
        if (cut <= before || cut > METRIC_CUT_MAX)
            break;
        suite->cuts[suite->cut_count++] = (uint32_t)cut;
        before = cut;
    }
    if (count == 0 || suite->cut_count < count)
        return error_set(err, ERR_INVALID,
                         "\"k\" must be a list of 1 to %u ascending numbers from 1 to %u",
                         METRIC_CUTS_MAX, METRIC_CUT_MAX);
    return 0;
}

int suite_header_read(const json_t *header, struct suite *suite, struct error *err)
{
    int code = name_read(header, suite, err);
    if (code == 0)
        code = type_read(header, suite, err);
    if (code == 0)
        code = json_members_check(header, members, MEMBER_COUNT, err);
    if (code == 0)
        code = description_read(header, suite, err);
    if (code == 0)
        code = cuts_read(header, suite, err);
    if (code != 0)
        return code;
    metric_list_init(&suite->metrics, suite->type, suite->cuts, suite->cut_count);
    code = metric_list_limit(&suite->metrics, true, json_object_get(header, "minimum"), err);
    if (code == 0)
        code =
            metric_list_limit(&suite->metrics, false, json_object_get(header, "maximum_drop"), err);
    return code;
}
