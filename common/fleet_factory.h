/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_factory: the section `factory:` of the configuration: workflows that are started by name
 * (docs/factory.md). Entries of the file are laid over the built-in ones: an entry of the same name
 * changes the keys that it gives, another name adds an entry.
 *
 * Threading and ownership: those of the config (fleet_config.h).
 */
#ifndef ARGOSY_COMMON_FLEET_FACTORY_H
#define ARGOSY_COMMON_FLEET_FACTORY_H

#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/id_template.h"
#include "common/input_schema.h"
#include "common/yaml_schema.h"

/* When a closed run has the derived id. USE_COMPLETED: a completed one is the answer, after any
 * other end a new run is made. */
enum fleet_id_reuse {
    FLEET_REUSE_ALLOW,
    FLEET_REUSE_FAILED_ONLY,
    FLEET_REUSE_REJECT,
    FLEET_REUSE_USE_COMPLETED,
};

/* When an open run has it. */
enum fleet_id_conflict {
    FLEET_CONFLICT_USE_EXISTING,
    FLEET_CONFLICT_FAIL,
    FLEET_CONFLICT_TERMINATE
};

/* Of the whole workflow; Temporal's rules. */
struct fleet_retry {
    int maximum_attempts; /* the first counts; default 1: none; 0: no bound */
    int initial_interval_ms;
    double backoff_coefficient;
    int maximum_interval_ms; /* 0: 100 times the first */
    const char *const *non_retryable_types;
    size_t non_retryable_type_count;
};

/* At most limit open runs whose key comes out equal. */
struct fleet_concurrency {
    const char *key; /* template without a uuid; NULL: no bound */
    int limit;
    const struct id_template *key_template;
};

struct fleet_workflow {
    const char *name;
    const char *description; /* may be NULL */
    const char *type;
    const char *task_queue;                 /* default cpu-queue */
    const char *id;                         /* template; default "<name>-{uuid}" */
    const struct yaml_node *input;          /* its schema as written; NULL: any JSON value */
    int execution_timeout_s, run_timeout_s; /* 0: none */
    int task_timeout_s;                     /* 0: the engine's default */
    struct fleet_retry retry;
    int priority; /* 1 (first) to 5; default 3 */
    struct fleet_concurrency concurrency;
    enum fleet_id_reuse id_reuse_policy;
    enum fleet_id_conflict id_conflict_policy;
    /* made from the above */
    const struct id_template *id_template;
    const struct input_schema *input_schema; /* NULL: any JSON value */
};

/* Of one element of the list. */
extern const struct yaml_schema fleet_workflow_schema;

/* Lays the elements of node (the file's list, NULL when it has none) over the built-in entries,
 * and checks and compiles all of them. ERR_CONFIG, ERR_MEMORY. */
int fleet_factory_read(const struct yaml_node *node, struct arena *arena,
                       struct fleet_workflow **ret_workflows, size_t *ret_count, struct error *err);

/* The built-in entries as a YAML document (fleet_factory_default.c). */
extern const char fleet_factory_default[];

/* The words of the enums, as in the file. */
const char *fleet_id_reuse_name(enum fleet_id_reuse policy);
const char *fleet_id_conflict_name(enum fleet_id_conflict policy);

#endif
