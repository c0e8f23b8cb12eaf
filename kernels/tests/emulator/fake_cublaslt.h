/* SPDX-License-Identifier: Apache-2.0 */
/* What tests may ask of the fake cuBLASLt, and tell it: its symbol fake_cublaslt, found by dlsym.
 */
#ifndef EMULATOR_FAKE_CUBLASLT_H
#define EMULATOR_FAKE_CUBLASLT_H

#include <stdint.h>

/* In the order of its proposals. Those that the CUDA device must pass over come first. */
enum fake_algorithm {
    FAKE_SPLITS = 1,          /* k in parts */
    FAKE_NEEDS_WORKSPACE = 2, /* for many rows */
    FAKE_REFUSED = 3,         /* by the library's own check */
    FAKE_IN_ORDER = 4,        /* sums from the first k to the last */
    FAKE_BACKWARDS = 5,       /* and from the last to the first */
    FAKE_BREAKS = 6,          /* passes every check, and does not multiply */
    FAKE_ALGORITHMS = 7
};

/* It has none at all for weights with fewer outputs. */
#define FAKE_OUT_MIN 4u

struct fake_cublaslt {
    uint32_t products[FAKE_ALGORITHMS]; /* asked for so far */
    double us_per_row[FAKE_ALGORITHMS]; /* of the emulator's clock */
};

#endif
