/* SPDX-License-Identifier: Apache-2.0 */
/* run_watch: see run_watch.h. */
#include "cli/run_watch.h"

#include <stdio.h>
#include <string.h>

#include "cli/message_view.h"
#include "cli/outcome.h"
#include "cli/progress.h"

/* Between two questions; the wait is for the run's end, so that a short run is not held up. */
#define INTERVAL_MS 500

/* A busy or restarting worker may leave a question unanswered. */
#define ANSWER_MS 2000

/* Refusals in a row after which the run is taken to have no such query: while its first workflow
 * task is under way, the handler may not be there yet. */
#define REFUSALS_MAX 3

/* Intervals in a row without an engine after which the watch ends: half a minute, in which a node
 * starts again. */
#define AWAY_MAX 60

enum answer { ANSWER_SHOWN, ANSWER_NONE, ANSWER_REFUSED };

/* A run that is watched, and where what it says is shown. */
struct watch {
    struct session *session;
    const char *workflow_id, *run_id;
    struct progress progress;
    int away; /* intervals without an engine, in a row */
};

/* What the newest heartbeat of the pending activity of that type says; NULL where there is none.
 * The caller releases it. */
static json_t *heartbeat_get(struct watch *watch, const char *type)
{
    json_t *reply;
    int code = session_call(watch->session, "DescribeWorkflowExecution",
                            json_pack("{s:{s:s, s:s}}", "execution", "workflowId",
                                      watch->workflow_id, "runId", watch->run_id),
                            &reply, NULL);
    if (code != 0)
        return NULL;
    struct buffer text = {0};
    size_t index;
    const json_t *activity;
    json_array_foreach(view_get(reply, "pendingActivities"), index, activity)
    {
        if (text.size == 0 && strcmp(view_text(activity, "activityType.name"), type) == 0)
            view_payloads(view_get(activity, "heartbeatDetails"), &text);
    }
    json_decref(reply);
    json_t *said = json_loads(buffer_text(&text), 0, NULL);
    buffer_fini(&text);
    return said;
}

/* How far an activity has come; nothing new while it has not told. */
static void show_activity(struct watch *watch, const char *type)
{
    json_t *said = heartbeat_get(watch, type);
    json_int_t step = json_integer_value(json_object_get(said, "step"));
    json_int_t steps = json_integer_value(json_object_get(said, "steps"));
    if (step >= 0 && steps > 0) {
        char note[PROGRESS_NOTE_SIZE];
        snprintf(note, sizeof note, "epoch %" JSON_INTEGER_FORMAT ", loss %.4g",
                 json_integer_value(json_object_get(said, "epoch")),
                 json_number_value(json_object_get(said, "loss")));
        progress_note(&watch->progress, note);
        progress_update(&watch->progress, (uint64_t)step, (uint64_t)steps);
    }
    json_decref(said);
}

static enum answer show(struct watch *watch, const struct argosy_payload *payload,
                        struct argosy_arena *arena)
{
    json_t *answer = outcome_value(payload, arena);
    const char *stage = json_string_value(json_object_get(answer, "stage"));
    const char *unit = json_string_value(json_object_get(answer, "unit"));
    const char *activity = json_string_value(json_object_get(answer, "activity"));
    json_int_t done = json_integer_value(json_object_get(answer, "done"));
    json_int_t total = json_integer_value(json_object_get(answer, "total"));
    bool is_progress = json_is_object(answer) && done >= 0 && total >= 0;
    if (is_progress) {
        progress_stage(&watch->progress, stage != NULL ? stage : "run",
                       unit != NULL ? unit : "steps");
        if (activity != NULL)
            show_activity(watch, activity);
        else
            progress_update(&watch->progress, (uint64_t)done, (uint64_t)total);
    }
    json_decref(answer);
    return is_progress ? ANSWER_SHOWN : ANSWER_REFUSED;
}

static enum answer ask(struct watch *watch)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload payload;
    struct argosy_error why;
    if (arena == NULL)
        return ANSWER_NONE;
    int code = argosy_client_query(watch->session->client, watch->workflow_id, watch->run_id,
                                   "progress", (struct argosy_payloads){0}, arena, &payload, &why);
    enum answer answer = ANSWER_NONE;
    if (code == 0)
        answer = show(watch, &payload, arena);
    else if (code == ARGOSY_ERR_INVALID || code == ARGOSY_ERR_UNSUPPORTED)
        answer = ANSWER_REFUSED;
    argosy_arena_destroy(arena);
    return answer;
}

/* True while the run has not closed within the interval, as far as is known. */
static bool is_open(struct watch *watch)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload result;
    struct argosy_error why = {0};
    if (arena == NULL)
        return false;
    int code = argosy_client_result(watch->session->client, watch->workflow_id, watch->run_id,
                                    INTERVAL_MS, arena, &result, &why);
    argosy_arena_destroy(arena);
    watch->away = code == ARGOSY_ERR_UNAVAILABLE ? watch->away + 1 : 0;
    return code == ARGOSY_ERR_UNAVAILABLE ? watch->away < AWAY_MAX
                                          : code == ARGOSY_ERR_TIMEOUT && why.failure == NULL;
}

void run_watch_progress(struct session *session, const char *workflow_id, const char *run_id)
{
    struct watch watch = {.session = session, .workflow_id = workflow_id, .run_id = run_id};
    progress_open(&watch.progress, false);
    argosy_client_set_timeout(session->client, ANSWER_MS);
    int refusals = 0;
    while (refusals < REFUSALS_MAX && is_open(&watch)) {
        enum answer answer = ask(&watch);
        refusals = answer == ANSWER_REFUSED ? refusals + 1 : 0;
    }
    progress_close(&watch.progress);
}

int run_watch(const struct invocation *invocation, struct session *session, const char *workflow_id,
              const char *run_id, struct error *err)
{
    if (!invocation->json)
        run_watch_progress(session, workflow_id, run_id);
    return outcome_report(invocation, session, workflow_id, run_id, -1, err);
}
