/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_reference: how a payload names an artifact (storage/artifact.h):
 *
 *     {"artifact": "sha256:9f86d081...", "size": 1048576}
 *
 * Members beside these two are left to the caller. Threading: no state.
 */
#ifndef ARGOSY_WORKFLOWS_ARTIFACT_REFERENCE_H
#define ARGOSY_WORKFLOWS_ARTIFACT_REFERENCE_H

#include <jansson.h>

#include "common/error.h"
#include "storage/artifact.h"

/* ERR_INVALID for what is no such reference (NULL too), with what is wrong. */
int artifact_reference_read(const json_t *value, struct artifact *ret_artifact, struct error *err);

/* A new object, the caller's; NULL when memory is exhausted. */
json_t *artifact_reference_create(const struct artifact *artifact);

#endif
