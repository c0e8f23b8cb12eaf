/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_storage: the part of storage's client that GPU activities call, for tests: artifacts are
 * kept in memory, registered models are the test's own, and it can be made to fail.
 */
#ifndef ARGOSY_TESTS_FAKE_STORAGE_H
#define ARGOSY_TESTS_FAKE_STORAGE_H

#include <stdatomic.h>
#include <stddef.h>

#include "storage/model_registry.h"

/* Every put fails with this code while it is not 0. */
extern atomic_int fake_storage_code;

/* Puts made; artifacts fetched. */
extern atomic_uint fake_storage_puts, fake_storage_opens;

/* The content of an artifact, borrowed; NULL when there is none. */
const void *fake_storage_get(const char *id, size_t *ret_size);

/* What is registered, by name and version; borrowed. And how often a model was asked for. */
extern const struct registered_model *fake_storage_models;
extern size_t fake_storage_model_count;
extern atomic_uint fake_storage_model_gets;

/* Forgets all artifacts. */
void fake_storage_clear(void);

#endif
