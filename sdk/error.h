/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: the public struct argosy_error and the project's struct error are one thing.
 *
 * The public struct begins with the project's (asserted in error.c), so that a public function
 * hands its caller's struct down to common/ and queues/ without copying. Codes have equal numbers.
 */
#ifndef ARGOSY_SDK_ERROR_H
#define ARGOSY_SDK_ERROR_H

#include <argosy/error.h>
#include <stddef.h>

#include "common/error.h"

/* The struct error inside err, with err's failure cleared; NULL for NULL. */
static inline struct error *error_inside(struct argosy_error *err)
{
    if (err == NULL)
        return NULL;
    err->failure = NULL;
    return (struct error *)err;
}

#endif
