/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch_file: a file without a name that a step writes and then puts as an artifact. It is gone
 * with its last descriptor, so that a killed worker leaves nothing behind.
 *
 * Threading: one thread at a time per file.
 */
#ifndef ARGOSY_WORKFLOWS_SCRATCH_FILE_H
#define ARGOSY_WORKFLOWS_SCRATCH_FILE_H

#include <argosy/activity.h>
#include <stdio.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "storage/artifact.h"

/* On the disk of the config's data folder, open for writing. fclose ends it. ERR_IO. */
int scratch_file_open(const struct fleet_config *config, FILE **ret_file, struct error *err);

/* Puts what was written, owned by the activity's workflow. ERR_IO; errors of artifact_put_file. */
int scratch_file_put(FILE *file, struct storage_client *storage,
                     const struct argosy_activity *activity, struct artifact *ret_artifact,
                     struct error *err);

#endif
