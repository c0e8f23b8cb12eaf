/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finetune_request: what `argosy finetune` asks for, from its command line: the dataset's files,
 * read and checked, and the request that the workflow will get. Nothing leaves the machine here.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_FINETUNE_REQUEST_H
#define ARGOSY_CLI_FINETUNE_REQUEST_H

#include <jansson.h>

#include "cli/command.h"
#include "storage/artifact.h"
#include "workflows/finetune/dataset.h"

extern const struct option finetune_options[];

struct finetune_request {
    const char *paths[2]; /* borrowed: dataset, held-out file */
    int fds[2];
    uint32_t file_count;
    struct artifact artifacts[2]; /* what the files will be called when they are put */
    struct dataset *dataset;      /* owns */
    json_t *training;             /* owns; complete */
    const char *name;             /* borrowed */
    const char *base;             /* borrowed */
    char job_id[256];             /* --job-id, or made of name, data and options */
    char workflow_id[300];
};

/* Reads the command line and the files. 0, EXIT_USAGE, or ERR_NOT_FOUND, ERR_INVALID ... The
 * dataset may be unfit: the caller looks. finetune_request_fini frees, also after a failure. */
int finetune_request_read(const struct invocation *invocation, struct finetune_request *request,
                          struct error *err);
void finetune_request_fini(struct finetune_request *request);

/* The workflow's input; NULL when memory is exhausted. The caller releases it. */
json_t *finetune_request_json(const struct finetune_request *request);

#endif
