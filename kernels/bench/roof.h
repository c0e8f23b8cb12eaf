/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roof: what a device can do at most, measured: arithmetic, and moving memory. The measure of its
 * operations.
 *
 *   CPU   fused multiply-adds on registers alone, in the widest vectors of the processor, on as
 *         many threads as the device has: fp32, and pairs of bf16 (vdpbf16ps) where there are any;
 *         and a copy of memory larger than the caches, its bytes read and written counted.
 *   CUDA  one product of 8192 x 8192 x 8192 by whoever multiplies on the device; and a pass over
 *         memory that reads activations and writes floats, larger than its caches.
 */
#ifndef KERNELS_BENCH_ROOF_H
#define KERNELS_BENCH_ROOF_H

#include "kernels/device.h"

struct roof {
    double flops_per_s; /* in the device's precision */
    double bytes_per_s;
    const char *flops_of; /* what was measured, in words */
    const char *bytes_of;
};

/* For about `seconds` each. A negative status of kernels/device.h when it could not be. */
int roof_measure(struct device *device, double seconds, struct roof *ret_roof);

#endif
