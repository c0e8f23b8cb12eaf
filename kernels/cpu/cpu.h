/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast CPU device: fp32 or bf16 on several threads of one machine, with the best instruction
 * set that the processor has. Private to kernels/; tests use it to try every instruction set.
 */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include "kernels/cpu/isa.h"

/* The instruction sets of this build that this processor can run, best first, one at least of
 * fp32. Returns how many of the CPU_ISAS_MAX were filled. */
#define CPU_ISAS_MAX 4u
uint32_t cpu_isas(const struct cpu_isa *ret_isas[CPU_ISAS_MAX]);

/* cpu_device_open with one of them. */
int cpu_device_open_isa(const struct device_options *options, const struct cpu_isa *isa,
                        struct device **ret_device, char *message, size_t message_size);

#endif
