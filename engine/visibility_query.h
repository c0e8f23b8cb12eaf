/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visibility_query: the part of Temporal's list query language that the engine speaks:
 *
 *     query     = [ condition { "AND" condition } ]
 *     condition = name "=" "'" value "'"            (or double quotes; a doubled quote is a quote)
 *     name      = "WorkflowId" | "WorkflowType" | "ExecutionStatus"
 *
 * Names and values as in Temporal, AND in any case. Everything else is refused with its place.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_ENGINE_VISIBILITY_QUERY_H
#define ARGOSY_ENGINE_VISIBILITY_QUERY_H

#include "common/arena.h"
#include "common/error.h"
#include "engine/store.h"

/* Sets the conditions of ret_filter (workflow_id, workflow_type, status; strings in arena) and
 * leaves its other fields alone. query may be NULL. ERR_INVALID says what is wrong and where;
 * ERR_LIMIT. */
int visibility_query_parse(const char *query, struct arena *arena, struct store_filter *ret_filter,
                           struct error *err);

#endif
