/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations: how long each operation of an encoder takes on a device, at the shapes of a model.
 *
 * Bytes are the least that an operation must move: its weights and inputs read once, its outputs
 * written once. FLOPs are those of the formula; of a norm's or a softmax's row, a constant number
 * for each element. What stays in a cache between two runs is read faster than memory gives it, so
 * a share of the memory's roof may be above one.
 */
#ifndef KERNELS_BENCH_OPERATIONS_H
#define KERNELS_BENCH_OPERATIONS_H

#include "kernels/bench/timing.h"
#include "kernels/device.h"

/* An encoder's sizes. */
struct encoder_shape {
    const char *name;
    uint32_t width;
    uint32_t heads; /* divides width */
    uint32_t inner;
};

struct operation_figures {
    const char *name;
    struct timing timing;
    double bytes;
    double flops;
};

typedef void operation_report(void *context, const struct operation_figures *figures);

/* Tokens of a batch are a multiple of this, so that it can be cut into texts of one length. */
#define OPERATIONS_TOKENS 512u

/* Measures every operation on a batch of `tokens` for about `seconds` and reports each as it is
 * done. Returns 0 or the status of what failed; device_error_text has the words. */
int operations_measure(struct device *device, const struct encoder_shape *shape, uint32_t tokens,
                       double seconds, operation_report *report, void *context);

#endif
