/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_job: one document on its way: its file put as an artifact, its workflow started and waited
 * for.
 *
 * A run of the document that is already open is waited for; unless it was asked for the very same
 * (content, collection, options), the document is then ingested as this command says.
 *
 * Threading: a job is run by one thread; another may read what is atomic.
 */
#ifndef ARGOSY_CLI_INGEST_JOB_H
#define ARGOSY_CLI_INGEST_JOB_H

#include <argosy/client.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "cli/document_list.h"
#include "common/error.h"
#include "storage/storage_client.h"

/* What all jobs of a command share. */
struct ingest_plan {
    struct argosy_client *client;
    struct storage_client *storage;
    const char *collection;
    const json_t *options; /* members of the workflow's input: "model", "metadata", ... */
};

struct ingest_job {
    const struct document *document;
    _Atomic uint64_t done; /* of the document's bytes */
    int code;              /* 0, or why it failed */
    struct error err;
    json_t *result; /* the workflow's; owned */
};

/* Runs the job to its end; the outcome is in job. */
void ingest_job_run(const struct ingest_plan *plan, struct ingest_job *job);

#endif
