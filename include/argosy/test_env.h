/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_env: a real engine for the tests of your workflows: argosy-engine as a child process with
 * the memory store, in a temporary folder of its own.
 *
 * Time can be skipped, so that a test of a workflow that sleeps for 30 days takes milliseconds:
 *
 *     argosy_test_env_start_skipping(&env, &err);
 *     ... connect a client, run a worker, start the workflow ...
 *     argosy_client_result(client, id, NULL, -1, arena, &result, &err);     30 days later
 *
 * The engine's clock then jumps to the next timer, retry or timeout as soon as nothing can run
 * before it: no workflow task waits or is under way, no activity is under way. Only the engine's
 * clock jumps, which is what workflow code sees (argosy_workflow_now_utc_us) and what timeouts
 * count by; activities run in real time. It jumps only while somebody waits for it: a client for a
 * run's result or its history, or argosy_test_env_sleep. Between two calls of a test time goes on
 * as it does, so that a signal sent after a start finds the run where it was.
 *
 *     argosy_test_env_sleep(env, 3600 * 1000, &err);                     an hour passes
 *     argosy_client_signal(client, id, NULL, "pay", input, &err);        within it nothing jumps
 *
 * Threading: one thread at a time per environment; clients and workers of it as their headers say.
 */
#ifndef ARGOSY_TEST_ENV_H
#define ARGOSY_TEST_ENV_H

#include <argosy/error.h>
#include <stdint.h>

struct argosy_test_env;

/* Starts the engine and waits until it serves. It is looked for in $ARGOSY_BIN_DIR, beside this
 * program, beside the library (../bin), then in $PATH; ARGOSY_ERR_NOT_FOUND. The caller owns
 * *ret_env. */
ARGOSY_API int argosy_test_env_start(struct argosy_test_env **ret_env, struct argosy_error *err);

/* The same with an engine whose time can be skipped, and is. */
ARGOSY_API int argosy_test_env_start_skipping(struct argosy_test_env **ret_env,
                                              struct argosy_error *err);

/* The endpoint for argosy_connection_options; borrowed from env. */
ARGOSY_API const char *argosy_test_env_endpoint(const struct argosy_test_env *env);

/* Ends the engine, removes the folder. NULL is fine. */
ARGOSY_API void argosy_test_env_stop(struct argosy_test_env *env);

/* ---- time; the engine must have been started to skip it, else ARGOSY_ERR_STATE ---- */

/* Keeps time from skipping, whoever waits, until as many unlocks followed. An unlock without a lock
 * is ARGOSY_ERR_STATE. */
ARGOSY_API int argosy_test_env_lock_time(struct argosy_test_env *env, struct argosy_error *err);
ARGOSY_API int argosy_test_env_unlock_time(struct argosy_test_env *env, struct argosy_error *err);

/* Lets time_ms of the engine's time pass, skipping what is only waiting even where that is
 * locked; what is due meanwhile happens, in order. Returns when the clock is there:
 * ARGOSY_ERR_TIMEOUT when work in between has taken 10 minutes of real time. */
ARGOSY_API int argosy_test_env_sleep(struct argosy_test_env *env, int64_t time_ms,
                                     struct argosy_error *err);

/* The engine's clock, in UTC microseconds. */
ARGOSY_API int argosy_test_env_now(struct argosy_test_env *env, int64_t *ret_utc_us,
                                   struct argosy_error *err);

#endif
