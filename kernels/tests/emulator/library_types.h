/* SPDX-License-Identifier: Apache-2.0 */
/* The element types that cuBLASLt is told of, for the emulator. */
#ifndef EMULATOR_LIBRARY_TYPES_H
#define EMULATOR_LIBRARY_TYPES_H

enum cudaDataType { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14 };

#endif
