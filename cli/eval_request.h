/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval_request: what `argosy eval` is asked for: the suite, read and checked, and the request of
 * its run. Threading: none.
 */
#ifndef ARGOSY_CLI_EVAL_REQUEST_H
#define ARGOSY_CLI_EVAL_REQUEST_H

#include <jansson.h>

#include "cli/command.h"
#include "storage/artifact.h"
#include "workflows/evaluation/suite.h"

extern const struct option eval_options[];

struct eval_request {
    const char *path;  /* of the suite; borrowed */
    const char *model; /* NULL only with --check */
    struct suite *suite;
    const char *baseline_model; /* NULL: not by a model */
    const char *baseline_path;  /* NULL: not by a file */
    const char *baseline_run;   /* NULL: not by a workflow id */
    json_t *minimum, *maximum_drop;
    char *workflow_id;
};

/* Reads the command line and the suite, which may be unfit. 0, EXIT_USAGE (said), or a negative
 * code. eval_request_fini frees, also after a failure. */
int eval_request_read(const struct invocation *invocation, struct eval_request *request,
                      struct error *err);
void eval_request_fini(struct eval_request *request);

/* The workflow's input; baseline is the artifact of a report, or NULL. NULL when memory is
 * exhausted, or a name is not UTF-8. The caller releases it. */
json_t *eval_request_json(const struct eval_request *request, const struct artifact *cases,
                          const struct artifact *baseline);

#endif
