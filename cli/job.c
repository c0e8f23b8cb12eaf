/* SPDX-License-Identifier: Apache-2.0 */
/* job: see job.h. */
#include "cli/job.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/run_watch.h"
#include "cli/wait_hint.h"
#include "common/fleet_config.h"

int job_start(struct session *session, struct job *job, json_t *input,
              enum argosy_id_reuse_policy reuse, struct error *err)
{
    struct argosy_error why = {0};
    char *text = input != NULL ? json_dumps(input, JSON_COMPACT) : NULL;
    json_decref(input);
    if (text == NULL)
        return error_set(err, ERR_INVALID, "a name is not UTF-8");
    int code = argosy_client_start(session->client,
                                   &(struct argosy_start_options){
                                       .workflow_id = job->workflow_id,
                                       .workflow_type = job->workflow_type,
                                       .task_queue = FLEET_QUEUE_CPU,
                                       .input = ARGOSY_PAYLOADS(argosy_payload_json(text)),
                                       .id_reuse_policy = reuse,
                                       .id_conflict_policy = ARGOSY_CONFLICT_USE_EXISTING,
                                   },
                                   job->run_id, &why);
    free(text);
    job->was_done = code == ARGOSY_ERR_EXISTS;
    if (job->was_done)
        return 0;
    if (code != 0)
        return session_error(&why, err);
    wait_hint_start(session, job->workflow_type, FLEET_QUEUE_CPU);
    return 0;
}

void job_watch(const struct invocation *invocation, struct session *session, const struct job *job)
{
    if (invocation->json)
        return;
    fprintf(stderr, "workflow id %s, run id %s\n", job->workflow_id, job->run_id);
    run_watch_progress(session, job->workflow_id, job->run_id);
}
