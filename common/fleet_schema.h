/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_schema: the keys of the configuration file, in one table, and the defaults that do not
 * depend on the machine. For fleet_config.c, which adds those that do and checks what concerns
 * several keys.
 */
#ifndef ARGOSY_COMMON_FLEET_SCHEMA_H
#define ARGOSY_COMMON_FLEET_SCHEMA_H

#include "common/fleet_config.h"
#include "common/yaml_schema.h"

/* A group's processes before the hardware was asked. */
#define FLEET_PROCESSES_UNSET (-1)

extern const struct yaml_schema fleet_schema;

/* Sets the defaults of a config or a group; what is still to be found out stays NULL or unset. */
void fleet_schema_init_config(struct fleet_config *config);
void fleet_schema_init_group(struct fleet_group *group, enum fleet_group_kind kind);

/* Why text cannot name a node or model (they become parts of file names); NULL when it can. */
const char *fleet_schema_check_name(const char *text);

/* Tasks of the storage queue per CPU process, where it is served by default: they wait for the
 * storage process, which works on as few at once. */
#define FLEET_STORAGE_SLOTS 8

/* How many tasks at once a process takes from a queue, by kind of group. */
int fleet_schema_slots(enum fleet_group_kind kind);

#endif
