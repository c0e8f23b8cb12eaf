/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdk_worker: the pipeline as a user of libargosy writes it: a workflow that executes "step" three
 * times, and the activity. The counterpart of pipeline_worker.h, which needs no SDK; payloads are
 * the same.
 *
 * Threading: one thread runs it; the SDK has threads of its own for activities.
 */
#ifndef ARGOSY_BENCH_SDK_WORKER_H
#define ARGOSY_BENCH_SDK_WORKER_H

#include "bench/pipeline_worker.h"

/* As pipeline_worker_run; the callbacks of config are not used. ERR_INTERNAL with the SDK's text.
 */
int sdk_worker_run(const struct pipeline_worker_config *config, struct error *err);

#endif
