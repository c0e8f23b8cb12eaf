/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_bench: the program around kernels_bench.h. */
#include "kernels/bench/kernels_bench.h"

int main(int argc, char **argv)
{
    return kernels_bench_run("kernels_bench", argc, argv);
}
