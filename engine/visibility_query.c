/* SPDX-License-Identifier: Apache-2.0 */
/* visibility_query: see visibility_query.h. */
#include "engine/visibility_query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "api/enums.h"
#include "common/nearest.h"

static const struct {
    const char *name;
    int32_t status;
} statuses[] = {
    {"Running", WORKFLOW_EXECUTION_STATUS_RUNNING},
    {"Completed", WORKFLOW_EXECUTION_STATUS_COMPLETED},
    {"Failed", WORKFLOW_EXECUTION_STATUS_FAILED},
    {"Canceled", WORKFLOW_EXECUTION_STATUS_CANCELED},
    {"Terminated", WORKFLOW_EXECUTION_STATUS_TERMINATED},
    {"ContinuedAsNew", WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW},
    {"TimedOut", WORKFLOW_EXECUTION_STATUS_TIMED_OUT},
};

#define STATUS_COUNT (sizeof statuses / sizeof statuses[0])

static const char *const names[] = {"WorkflowId", "WorkflowType", "ExecutionStatus"};

enum name { NAME_WORKFLOW_ID, NAME_WORKFLOW_TYPE, NAME_EXECUTION_STATUS, NAME_COUNT };

/* A query being read. */
struct parser {
    const char *query;
    const char *at;
    struct arena *arena;
    struct store_filter filter;
    struct error *err;
};

static void skip_space(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at))
        parser->at++;
}

static int refuse(struct parser *parser, const char *reason)
{
    return error_set(parser->err, ERR_INVALID, "query, column %td: %s",
                     parser->at - parser->query + 1, reason);
}

/* A run of letters, digits and underscores; its length. */
static size_t word_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '_')
        length++;
    return length;
}

static int parse_name(struct parser *parser, enum name *ret_name)
{
    size_t length = word_length(parser->at);
    for (int i = 0; i < NAME_COUNT; i++) {
        if (strlen(names[i]) == length && strncmp(parser->at, names[i], length) == 0) {
            parser->at += length;
            *ret_name = (enum name)i;
            return 0;
        }
    }
    if (length == 0)
        return refuse(parser, "expected WorkflowId, WorkflowType or ExecutionStatus");
    char *word = arena_strndup(parser->arena, parser->at, length);
    const char *near = word != NULL ? nearest_name(word, names, NAME_COUNT) : NULL;
    return error_set(parser->err, ERR_INVALID,
                     "query, column %td: cannot search by \"%.*s\" (%s%s)",
                     parser->at - parser->query + 1, (int)length, parser->at,
                     near != NULL ? "did you mean " : "known: WorkflowId, WorkflowType, ",
                     near != NULL ? near : "ExecutionStatus");
}

static int parse_value(struct parser *parser, const char **ret_value)
{
    char quote = *parser->at;
    if (quote != '\'' && quote != '"')
        return refuse(parser, "expected a value in quotes");
    char *value = arena_alloc(parser->arena, strlen(parser->at));
    if (value == NULL)
        return error_set(parser->err, ERR_LIMIT, "the query is too long");
    size_t length = 0;
    for (parser->at++; *parser->at != '\0'; parser->at++) {
        if (*parser->at == quote) {
            parser->at++;
            if (*parser->at != quote) {
                value[length] = '\0';
                *ret_value = value;
                return 0;
            }
        }
        value[length++] = *parser->at;
    }
    return refuse(parser, "a quote is not closed");
}

static int set_status(struct parser *parser, const char *value)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (strcmp(statuses[i].name, value) == 0) {
            parser->filter.status = statuses[i].status;
            return 0;
        }
    }
    return error_set(parser->err, ERR_INVALID,
                     "query: \"%s\" is no ExecutionStatus (Running, Completed, Failed, Canceled, "
                     "Terminated, ContinuedAsNew, TimedOut)",
                     value);
}

static int parse_condition(struct parser *parser)
{
    enum name name = NAME_COUNT;
    const char *value = NULL;
    int code = parse_name(parser, &name);
    if (code != 0)
        return code;
    skip_space(parser);
    if (*parser->at != '=')
        return refuse(parser, "expected \"=\", the only comparison supported");
    parser->at++;
    skip_space(parser);
    code = parse_value(parser, &value);
    if (code != 0)
        return code;
    bool is_second = name == NAME_WORKFLOW_ID     ? parser->filter.workflow_id != NULL
                     : name == NAME_WORKFLOW_TYPE ? parser->filter.workflow_type != NULL
                                                  : parser->filter.status != 0;
    if (is_second)
        return error_set(parser->err, ERR_INVALID, "query: %s is given twice", names[name]);
    if (name == NAME_EXECUTION_STATUS)
        return set_status(parser, value);
    if (name == NAME_WORKFLOW_ID)
        parser->filter.workflow_id = value;
    else
        parser->filter.workflow_type = value;
    return 0;
}

int visibility_query_parse(const char *query, struct arena *arena, struct store_filter *ret_filter,
                           struct error *err)
{
    if (query == NULL)
        query = "";
    struct parser parser = {.query = query, .at = query, .arena = arena, .err = err};
    skip_space(&parser);
    while (*parser.at != '\0') {
        int code = parse_condition(&parser);
        if (code != 0)
            return code;
        skip_space(&parser);
        if (*parser.at == '\0')
            break;
        if (word_length(parser.at) != 3 || strncasecmp(parser.at, "AND", 3) != 0)
            return refuse(&parser, "expected AND, the only way to combine conditions");
        parser.at += 3;
        skip_space(&parser);
        if (*parser.at == '\0')
            return refuse(&parser, "expected a condition after AND");
    }
    ret_filter->workflow_id = parser.filter.workflow_id;
    ret_filter->workflow_type = parser.filter.workflow_type;
    ret_filter->status = parser.filter.status;
    return 0;
}
