/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_timing: the measurement `argosy-bench codec`: nanoseconds that encoding and decoding take
 * for the messages a workflow of activities is made of.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_CODEC_TIMING_H
#define ARGOSY_BENCH_CODEC_TIMING_H

#include "common/error.h"

/* Measures and prints. ERR_MEMORY, or an error of the codec. */
int codec_timing_measure(struct error *err);

#endif
