/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job: a run of a shipped workflow that a command starts under an id made of its request, so that
 * the same command again is the same run, and waits for. Threading: one thread.
 */
#ifndef ARGOSY_CLI_JOB_H
#define ARGOSY_CLI_JOB_H

#include "cli/command.h"
#include "cli/session.h"

struct job {
    const char *workflow_type;
    const char *workflow_id;
    /* by job_start */
    char run_id[ARGOSY_RUN_ID_SIZE];
    bool was_done; /* by an earlier command: nothing was started */
};

/* Starts the run, or finds the one of that id that is open; reuse says whether one that is over is
 * run again. input is taken; NULL (json_pack's failure) is ERR_INVALID. */
int job_start(struct session *session, struct job *job, json_t *input,
              enum argosy_id_reuse_policy reuse, struct error *err);

/* Says on standard error which run it is and how far it has come, until it is closed; nothing with
 * --output json. The outcome is asked for after it. */
void job_watch(const struct invocation *invocation, struct session *session, const struct job *job);

#endif
