/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: runs a saved history against registered workflows, to know before a rollout whether
 * changed code still fits the runs that are under way. No engine is needed and nothing is changed.
 */
#ifndef ARGOSY_REPLAY_H
#define ARGOSY_REPLAY_H

#include <argosy/error.h>
#include <argosy/registry.h>

/* history_json is what `argosy workflow show --output json` prints. 0 when the code makes the
 * history's commands; ARGOSY_ERR_NONDETERMINISM names the event, the expected and the actual
 * command; ARGOSY_ERR_INVALID: not a history; ARGOSY_ERR_NOT_FOUND: its workflow type is not
 * registered. */
ARGOSY_API int argosy_replay_history(const struct argosy_registry *registry,
                                     const char *history_json, struct argosy_error *err);

#endif
