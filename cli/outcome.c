/* SPDX-License-Identifier: Apache-2.0 */
/* outcome: see outcome.h. */
#include "cli/outcome.h"

#include <argosy/failure.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/history_view.h"
#include "cli/output.h"
#include "common/buffer.h"
#include "common/clock.h"

/* One line on the terminal that each event rewrites. */
struct progress {
    const char *workflow_id;
    uint64_t started_ns;
    struct buffer text;
};

static void progress_show(const json_t *history, const json_t *event, void *arg)
{
    struct progress *progress = arg;
    char elapsed[OUTPUT_TIME_SIZE];
    uint64_t elapsed_us = (clock_monotonic_ns() - progress->started_ns) / NS_PER_US;
    struct buffer line = {0};
    buffer_printf(&line, "%s  %s  %zu events  ", progress->workflow_id,
                  output_duration((int64_t)elapsed_us, elapsed),
                  json_array_size(json_object_get(history, "events")));
    history_event_type(event, &line);
    buffer_append_text(&line, "  ");
    history_details(history, event, false, &line);
    buffer_clear(&progress->text);
    output_safe((const char *)line.data, line.size, &progress->text);
    buffer_fini(&line);
    /* Back to the line's start, the text without wrapping, erase what stood behind it. */
    fprintf(stderr, "\r\033[?7l%s\033[K\033[?7h", buffer_text(&progress->text));
}

/* Watches the run until it is closed, where somebody can see it. A watch that breaks off (the
 * engine restarts) only ends the show: the wait for the result says what is wrong, if anything is.
 */
static void progress_watch(struct session *session, const char *workflow_id, const char *run_id)
{
    struct progress progress = {.workflow_id = workflow_id, .started_ns = clock_monotonic_ns()};
    session_follow(session, workflow_id, run_id, progress_show, &progress, NULL);
    fprintf(stderr, "\r\033[K");
    buffer_fini(&progress.text);
}

json_t *outcome_value(const struct argosy_payload *payload, struct argosy_arena *arena)
{
    if (argosy_payload_is_null(payload))
        return json_null();
    json_t *value = NULL;
    if (strncmp(payload->encoding, "json/", 5) == 0)
        value = json_loadb(payload->data, payload->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (value == NULL) {
        const char *text = argosy_payload_text(payload, arena);
        value = json_string(text != NULL ? text : "");
    }
    return value;
}

int outcome_print(const struct argosy_payload *payload, struct argosy_arena *arena,
                  struct error *err)
{
    const char *text = argosy_payload_text(payload, arena);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (!isatty(STDOUT_FILENO)) {
        puts(text);
        return 0;
    }
    struct buffer safe = {0};
    output_safe(text, strlen(text), &safe);
    puts(buffer_text(&safe));
    buffer_fini(&safe);
    return 0;
}

/* The result exactly as the workflow gave it where it is JSON: a number printed again would have
 * other digits. */
static int completed_json(const char *workflow_id, const struct argosy_payload *result,
                          struct argosy_arena *arena, struct error *err)
{
    json_t *value = outcome_value(result, arena);
    json_t *id = json_string(workflow_id);
    char *id_text = id != NULL ? json_dumps(id, JSON_ENCODE_ANY) : NULL;
    bool is_raw = !argosy_payload_is_null(result) && strncmp(result->encoding, "json/", 5) == 0 &&
                  value != NULL && argosy_payload_check(result, NULL) == 0;
    char *text = is_raw || value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    int code = 0;
    if (id_text == NULL || (!is_raw && text == NULL))
        code = error_set(err, ERR_MEMORY, "out of memory");
    else
        printf("{\n  \"workflowId\": %s,\n  \"status\": \"COMPLETED\",\n  \"result\": %.*s\n}\n",
               id_text, is_raw ? (int)result->size : (int)strlen(text),
               is_raw ? (const char *)result->data : text);
    json_decref(value);
    json_decref(id);
    free(id_text);
    free(text);
    return code;
}

static int completed_report(const struct invocation *invocation, struct session *session,
                            const char *workflow_id, const struct argosy_payload *result,
                            struct error *err)
{
    if (!invocation->json)
        return outcome_print(result, session->arena, err);
    return completed_json(workflow_id, result, session->arena, err);
}

static int failed_report(const struct invocation *invocation, struct session *session,
                         const char *workflow_id, const char *status,
                         const struct argosy_error *why, struct error *err)
{
    const char *text =
        why->failure != NULL ? argosy_failure_text(why->failure, session->arena) : why->text;
    const struct argosy_failure *root =
        why->failure != NULL ? argosy_failure_root(why->failure) : NULL;
    if (!invocation->json) {
        struct buffer safe = {0};
        output_safe(text, strlen(text), &safe);
        fprintf(stderr, "argosy %s: %s: %s\n", invocation->command->name, status,
                buffer_text(&safe));
        buffer_fini(&safe);
        return EXIT_FAILED;
    }
    int code = output_json(json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "workflowId", workflow_id,
                                     "status", status, "failure", "message",
                                     root != NULL ? argosy_failure_message(root) : text, "type",
                                     root != NULL ? argosy_failure_type(root) : "", "text", text),
                           err);
    return code != 0 ? code : EXIT_FAILED;
}

int outcome_report(const struct invocation *invocation, struct session *session,
                   const char *workflow_id, const char *run_id, int64_t timeout_ms,
                   struct error *err)
{
    if (timeout_ms < 0 && isatty(STDERR_FILENO))
        progress_watch(session, workflow_id, run_id);
    struct argosy_error why = {0};
    struct argosy_payload result = {0};
    int code = argosy_client_result(session->client, workflow_id, run_id, timeout_ms,
                                    session->arena, &result, &why);
    switch (code) {
    case 0:
        return completed_report(invocation, session, workflow_id, &result, err);
    case ARGOSY_ERR_FAILED:
        return failed_report(invocation, session, workflow_id, "FAILED", &why, err);
    case ARGOSY_ERR_CANCELED:
        return failed_report(invocation, session, workflow_id, "CANCELED", &why, err);
    case ARGOSY_ERR_ABORTED:
        return failed_report(invocation, session, workflow_id, "TERMINATED", &why, err);
    case ARGOSY_ERR_TIMEOUT:
        if (why.failure != NULL)
            return failed_report(invocation, session, workflow_id, "TIMED_OUT", &why, err);
        return session_error(&why, err);
    default:
        return session_error(&why, err);
    }
}
