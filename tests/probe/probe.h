/* SPDX-License-Identifier: Apache-2.0 */
/* probe: what the files of the plug-in share; see probe.c. */
#ifndef ARGOSY_TESTS_PROBE_H
#define ARGOSY_TESTS_PROBE_H

#include <argosy/plugin.h>

#define PROBE_PATH_SIZE 512

/* The path of a file in $PROBE_DIR. */
int probe_path(const char *name, char path[PROBE_PATH_SIZE], struct argosy_error *err);

/* Appends a line to the ledger. */
int ledger_append(struct argosy_activity *activity, const char *what, int64_t from,
                  struct argosy_error *err);

/* FanWorkflow and fan_step (fan.c). */
int fan_register(struct argosy_registry *registry, struct argosy_error *err);

#endif
