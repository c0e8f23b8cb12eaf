/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_files: whether what a config names is there: said before a fleet starts, not by a worker's
 * exit status.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_FLEET_FILES_H
#define ARGOSY_CLI_FLEET_FILES_H

#include "common/error.h"
#include "common/fleet_config.h"

/* ERR_CONFIG when a group's plug-in cannot be read. */
int fleet_plugins_check(const struct fleet_config *config, struct error *err);

/* ERR_NOT_FOUND, with how to bring it, when a GPU group's model is not in the models folder. */
int fleet_models_check(const struct fleet_config *config, struct error *err);

#endif
