/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_members: the members of JSON objects that people write.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_JSON_MEMBERS_H
#define ARGOSY_WORKFLOWS_JSON_MEMBERS_H

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"

/* ERR_INVALID for a member of object that is none of names (count of them), with the one that was
 * meant, where one is near. What is no object has no members. */
int json_members_check(const json_t *object, const char *const *names, size_t count,
                       struct error *err);

#endif
