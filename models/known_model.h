/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_model: the models that can be fetched by name: where they are, of which files they consist,
 * and what those must be. Apart from model_fetch, so that who checks a model needs no network.
 *
 * Threading: constant.
 */
#ifndef ARGOSY_MODELS_KNOWN_MODEL_H
#define ARGOSY_MODELS_KNOWN_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define KNOWN_MODEL_PIN_MAX 8

struct model_pin {
    const char *file;
    const char *sha256; /* in hexadecimal; NULL: checked by its meaning, when the model opens */
    uint64_t size_bytes;
};

struct known_model {
    const char *name;
    const char *package;        /* on the Python package index, with its version */
    const char *package_folder; /* where the package carries the files */
    const char *hub_name;
    size_t pin_count;
    struct model_pin pins[KNOWN_MODEL_PIN_MAX];
};

/* All names, for people: "a, b". */
extern const char known_model_names[];

/* NULL: not known. */
const struct known_model *known_model_find(const char *name);

#endif
