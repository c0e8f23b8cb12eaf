/* SPDX-License-Identifier: Apache-2.0 */
/* command_search: `argosy search`: asks a collection, by a SearchWorkflow. */
#include <argosy/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command_table.h"
#include "cli/input.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/wait_hint.h"
#include "common/fleet_config.h"
#include "common/uuid.h"
#include "workflows/shipped.h"

#define NEIGHBOURS_DEFAULT 5
/* Columns of an excerpt where there is no terminal to ask. */
#define EXCERPT_COLUMNS 96
#define EXCERPT_LINES   3

static const struct option search_options[] = {
    {"count", NULL, 'k', OPTION_NUMBER, "N", "how many chunks (5)", NULL},
    {"filter", NULL, 0, OPTION_TEXT, "JSON",
     "only chunks whose metadata is so: '{\"lang\": \"en\", \"year\": {\"gte\": 2020}}'", NULL},
    {"model", NULL, 0, OPTION_TEXT, "NAME", "the collection's model (asked of it)", NULL},
    {0},
};

/* The workflow's input; the caller frees it. */
static int input_make(const struct invocation *invocation, char **ret_input, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *filter = parsed_text(parsed, "filter");
    int code = filter == NULL ? 0 : input_check_json("--filter", filter, strlen(filter), err);
    if (code != 0)
        return code;
    json_t *input = json_pack("{s:s, s:s, s:I, s:s*, s:o*}", "collection", parsed->arguments[0],
                              "question", parsed->arguments[1], "k",
                              (json_int_t)parsed_number(parsed, "count", NEIGHBOURS_DEFAULT),
                              "model", parsed_text(parsed, "model"), "filter",
                              filter != NULL ? json_loads(filter, JSON_DECODE_ANY, NULL) : NULL);
    if (input == NULL)
        return error_set(err, ERR_INVALID, "collection and question must be UTF-8");
    char *text = json_dumps(input, JSON_COMPACT);
    json_decref(input);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_input = text;
    return 0;
}

/* ---- output ---- */

/* The beginning of a text in some lines, words whole, white space as single spaces. */
static void excerpt_print(const char *text)
{
    struct buffer words = {0}, safe = {0};
    for (const char *at = text; *at != '\0'; at++) {
        bool is_white = strchr(" \t\r\n\f\v", *at) != NULL;
        if (!is_white)
            buffer_append_byte(&words, (uint8_t)*at);
        else if (words.size > 0 && words.data[words.size - 1] != ' ')
            buffer_append_byte(&words, ' ');
    }
    output_safe((const char *)words.data, words.size, &safe);
    const char *rest = buffer_text(&safe);
    for (int line = 1; line <= EXCERPT_LINES && *rest != '\0'; line++) {
        size_t length = strlen(rest);
        if (length > EXCERPT_COLUMNS) {
            length = EXCERPT_COLUMNS;
            while (length > 0 && rest[length] != ' ')
                length--;
            if (length == 0) /* one long word: up to a character's border */
                for (length = EXCERPT_COLUMNS; ((uint8_t)rest[length] & 0xc0) == 0x80;)
                    length--;
        }
        bool is_cut = line == EXCERPT_LINES && rest[length] != '\0';
        printf("   %.*s%s\n", (int)length, rest, is_cut ? " ..." : "");
        rest += length;
        rest += strspn(rest, " ");
    }
    buffer_fini(&words);
    buffer_fini(&safe);
}

static void neighbour_print(size_t rank, const json_t *neighbour)
{
    const char *document = json_string_value(json_object_get(neighbour, "document_id"));
    const char *text = json_string_value(json_object_get(neighbour, "text"));
    const json_t *metadata = json_object_get(neighbour, "metadata");
    const char *section = json_string_value(json_object_get(metadata, "section"));
    struct buffer safe = {0};
    output_safe(document != NULL ? document : "?", strlen(document != NULL ? document : "?"),
                &safe);
    if (section != NULL) {
        buffer_append_text(&safe, "  ");
        output_safe(section, strlen(section), &safe);
    }
    printf("%2zu. %.4f  %s\n", rank, json_number_value(json_object_get(neighbour, "score")),
           buffer_text(&safe));
    if (text != NULL)
        excerpt_print(text);
    buffer_fini(&safe);
}

static int neighbours_print(const struct argosy_payload *result,
                            const struct invocation *invocation, struct error *err)
{
    json_t *list = json_loadb(result->data, result->size, 0, NULL);
    if (!json_is_array(list)) {
        json_decref(list);
        return error_set(err, ERR_PROTOCOL, "the answer is not a list");
    }
    if (invocation->json)
        return output_json(list, err);
    size_t index;
    const json_t *neighbour;
    if (json_array_size(list) == 0)
        puts("nothing found");
    json_array_foreach(list, index, neighbour) neighbour_print(index + 1, neighbour);
    json_decref(list);
    return 0;
}

/* ---- search ---- */

static int search_ask(const struct invocation *invocation, struct session *session,
                      const char *input, struct error *err)
{
    char id[UUID_TEXT_SIZE], workflow_id[sizeof "search-" + UUID_TEXT_SIZE];
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error why = {0};
    uuid_create(id);
    snprintf(workflow_id, sizeof workflow_id, "search-%s", id);
    int code = argosy_client_start(session->client,
                                   &(struct argosy_start_options){
                                       .workflow_id = workflow_id,
                                       .workflow_type = WORKFLOW_SEARCH,
                                       .task_queue = FLEET_QUEUE_CPU,
                                       .input = ARGOSY_PAYLOADS(argosy_payload_json(input)),
                                   },
                                   run_id, &why);
    if (code != 0)
        return session_error(&why, err);
    wait_hint_start(session, WORKFLOW_SEARCH, FLEET_QUEUE_CPU);
    struct argosy_payload result;
    code = argosy_client_result(session->client, workflow_id, run_id, -1, session->arena, &result,
                                &why);
    if (code == 0)
        return neighbours_print(&result, invocation, err);
    if (why.failure == NULL)
        return session_error(&why, err);
    error_set(err, code, "%s", argosy_failure_message(argosy_failure_root(why.failure)));
    return code;
}

static int search_run(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count != 2)
        return command_usage(invocation, "a collection and one question (in quotes) are needed");
    char *input;
    struct session session;
    int code = input_make(invocation, &input, err);
    if (code != 0)
        return code;
    code = session_open(invocation, &session, err);
    if (code == 0) {
        code = search_ask(invocation, &session, input, err);
        session_close(&session);
    }
    free(input);
    return code;
}

const struct command command_search = {
    .name = "search",
    .summary = "find the texts of a collection that are nearest to a question",
    .arguments = "COLLECTION QUESTION",
    .arguments_max = 2,
    .example = "argosy search docs \"how do I start a fleet?\" -k 3\n"
               "argosy search docs \"limits\" --filter '{\"document_id\": \"docs/storage.md\"}'",
    .options = {{search_options, session_options, common_options}},
    .run = search_run,
};
