/* SPDX-License-Identifier: Apache-2.0 */
/* run_watch: see run_watch.h. */
#include "cli/run_watch.h"

#include "cli/outcome.h"
#include "cli/progress.h"

/* Between two questions; the wait is for the run's end, so that a short run is not held up. */
#define INTERVAL_MS 500

/* A busy or restarting worker may leave a question unanswered. */
#define ANSWER_MS 2000

/* Refusals in a row after which the run is taken to have no such query: while its first workflow
 * task is under way, the handler may not be there yet. */
#define REFUSALS_MAX 3

enum answer { ANSWER_SHOWN, ANSWER_NONE, ANSWER_REFUSED };

static enum answer show(const struct argosy_payload *payload, struct argosy_arena *arena,
                        struct progress *progress)
{
    json_t *answer = outcome_value(payload, arena);
    const char *stage = json_string_value(json_object_get(answer, "stage"));
    const char *unit = json_string_value(json_object_get(answer, "unit"));
    json_int_t done = json_integer_value(json_object_get(answer, "done"));
    json_int_t total = json_integer_value(json_object_get(answer, "total"));
    bool is_progress = json_is_object(answer) && done >= 0 && total >= 0;
    if (is_progress) {
        progress_stage(progress, stage != NULL ? stage : "run", unit != NULL ? unit : "steps");
        progress_update(progress, (uint64_t)done, (uint64_t)total);
    }
    json_decref(answer);
    return is_progress ? ANSWER_SHOWN : ANSWER_REFUSED;
}

static enum answer ask(struct session *session, const char *workflow_id, const char *run_id,
                       struct progress *progress)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload payload;
    struct argosy_error why;
    if (arena == NULL)
        return ANSWER_NONE;
    int code = argosy_client_query(session->client, workflow_id, run_id, "progress",
                                   (struct argosy_payloads){0}, arena, &payload, &why);
    enum answer answer = ANSWER_NONE;
    if (code == 0)
        answer = show(&payload, arena, progress);
    else if (code == ARGOSY_ERR_INVALID || code == ARGOSY_ERR_UNSUPPORTED)
        answer = ANSWER_REFUSED;
    argosy_arena_destroy(arena);
    return answer;
}

/* True while the run has not closed within the interval. */
static bool is_open(struct session *session, const char *workflow_id, const char *run_id)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload result;
    struct argosy_error why = {0};
    if (arena == NULL)
        return false;
    int code = argosy_client_result(session->client, workflow_id, run_id, INTERVAL_MS, arena,
                                    &result, &why);
    bool open = code == ARGOSY_ERR_TIMEOUT && why.failure == NULL;
    argosy_arena_destroy(arena);
    return open;
}

void run_watch_progress(struct session *session, const char *workflow_id, const char *run_id)
{
    struct progress progress;
    progress_open(&progress, false);
    argosy_client_set_timeout(session->client, ANSWER_MS);
    int refusals = 0;
    while (refusals < REFUSALS_MAX && is_open(session, workflow_id, run_id)) {
        enum answer answer = ask(session, workflow_id, run_id, &progress);
        refusals = answer == ANSWER_REFUSED ? refusals + 1 : 0;
    }
    progress_close(&progress);
}

int run_watch(const struct invocation *invocation, struct session *session, const char *workflow_id,
              const char *run_id, struct error *err)
{
    if (!invocation->json)
        run_watch_progress(session, workflow_id, run_id);
    return outcome_report(invocation, session, workflow_id, run_id, -1, err);
}
