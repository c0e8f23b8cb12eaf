/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels_bench: the command that times every operation of a device and says how near it comes to
 * what the device can do. `kernels_bench` and `argosy-bench kernels` both are this.
 *
 * Prints to standard output, progress and errors to standard error. One thread at a time.
 */
#ifndef KERNELS_BENCH_KERNELS_BENCH_H
#define KERNELS_BENCH_KERNELS_BENCH_H

/* argv[0] is skipped; name stands for it in messages. Returns the exit status: 0, 64 for a wrong
 * command line, 70 for a device that could not be opened or failed. */
int kernels_bench_run(const char *name, int argc, char **argv);

#endif
