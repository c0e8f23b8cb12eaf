/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input_check: JSON from outside, held against an input schema (common/input_schema.h).
 *
 * An error begins with the path of the first wrong value, "$.texts[3]: expected string, got
 * number"; names and values in it are cut and their control characters made visible.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_SDK_INPUT_CHECK_H
#define ARGOSY_SDK_INPUT_CHECK_H

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"
#include "common/input_schema.h"

/* Lists and objects within each other: four times as deep as a schema can be. */
#define INPUT_DEPTH_MAX 64

/* Parses one JSON value. ERR_INVALID with line and column for what is not JSON, for an object with
 * one name twice, for more than LIMIT_PAYLOAD_SIZE bytes or INPUT_DEPTH_MAX levels. The caller
 * releases *ret_value. */
int input_parse(const char *text, size_t size, json_t **ret_value, struct error *err);

/* 0 when value fits schema, else ERR_INVALID. */
int input_check(const struct input_schema *schema, const json_t *value, struct error *err);

#endif
