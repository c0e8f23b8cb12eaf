/* SPDX-License-Identifier: Apache-2.0 */
/* bfloat16 on the host, for the emulator: the upper half of an fp32, rounded to nearest even. */
#ifndef EMULATOR_CUDA_BF16_H
#define EMULATOR_CUDA_BF16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 value)
{
    uint32_t bits = (uint32_t)value.bits << 16;
    float result;

    memcpy(&result, &bits, sizeof(result));
    return result;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits;

    if (isnan(value))
        return {0x7FFF};
    memcpy(&bits, &value, sizeof(bits));
    /* Half of the last place, less one where the last place is even; a carry into the exponent is
     * the next power of two, or infinity. */
    bits += 0x7FFF + (bits >> 16 & 1);
    return {(uint16_t)(bits >> 16)};
}

#endif
