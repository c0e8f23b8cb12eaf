/* SPDX-License-Identifier: Apache-2.0 */
/* The epilogues of op_linear in fp32, as device.h defines them: GELU is the erf form. */
#ifndef KERNELS_CUDA_EPILOGUE_CUH
#define KERNELS_CUDA_EPILOGUE_CUH

#include "kernels/cuda/launch.h"

__device__ __forceinline__ float epilogue_apply(enum linear_epilogue epilogue, float z)
{
    switch (epilogue) {
    case LINEAR_PLAIN:
        break;
    case LINEAR_GELU:
        /* Φ(z) = erfc(-z/√2) / 2 keeps its relative accuracy where it is small. */
        return z * (0.5f * erfcf(-0.70710678f * z));
    case LINEAR_TANH:
        return tanhf(z);
    case LINEAR_RELU:
        return z < 0 ? 0 : z; /* NaN stays NaN */
    }
    return z;
}

#endif
