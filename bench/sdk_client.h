/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdk_client: pipeline_client's work done through libargosy: argosy_client_execute_async, a given
 * number at a time.
 *
 * Threading: the caller's thread waits; results come on the client's own thread.
 */
#ifndef ARGOSY_BENCH_SDK_CLIENT_H
#define ARGOSY_BENCH_SDK_CLIENT_H

#include "bench/pipeline_client.h"

/* As pipeline_client_run; on_result of config is not used. */
int sdk_client_run(const struct pipeline_client_config *config,
                   struct pipeline_client_report *ret_report, struct error *err);

#endif
