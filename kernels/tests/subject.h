/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that a test program tries, named by its first argument: reference, cpu_<instruction
 * set>[_<threads>], cuda_<fp32, fp16 or bf16>[_own]. A device that this build or this machine does
 * not have is "not supported": the program says so and exits with 77.
 */
#ifndef KERNELS_TESTS_SUBJECT_H
#define KERNELS_TESTS_SUBJECT_H

#include "kernels/tests/matrix.h"

/* Opens the device with a stream, or exits. */
struct bench subject_open(const char *name);
/* Whether it is the emulator (tests/emulator/), which is a thousand times slower than a device:
 * tests then leave out what only repeats at a larger size. */
bool subject_is_slow(const struct bench *bench);
/* Its truth. */
struct bench reference_open(void);
void bench_close(struct bench *bench);

#endif
