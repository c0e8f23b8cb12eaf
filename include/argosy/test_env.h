/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_env: a real engine for the tests of your workflows: argosy-engine as a child process with
 * the memory store, in a temporary folder of its own. Time runs as it does (skipping it is
 * planned).
 */
#ifndef ARGOSY_TEST_ENV_H
#define ARGOSY_TEST_ENV_H

#include <argosy/error.h>

struct argosy_test_env;

/* Starts the engine and waits until it serves. It is looked for in $ARGOSY_BIN_DIR, beside this
 * program, beside the library (../bin), then in $PATH; ARGOSY_ERR_NOT_FOUND. The caller owns
 * *ret_env. */
ARGOSY_API int argosy_test_env_start(struct argosy_test_env **ret_env, struct argosy_error *err);

/* The endpoint for argosy_connection_options; borrowed from env. */
ARGOSY_API const char *argosy_test_env_endpoint(const struct argosy_test_env *env);

/* Ends the engine, removes the folder. NULL is fine. */
ARGOSY_API void argosy_test_env_stop(struct argosy_test_env *env);

#endif
