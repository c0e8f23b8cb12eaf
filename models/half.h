/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half: 16-bit floating types to fp32, exactly. IEEE 754 binary16 (fp16) has 5 exponent and 10
 * fraction bits; bfloat16 is the upper half of a binary32. Threading: pure functions.
 */
#ifndef ARGOSY_MODELS_HALF_H
#define ARGOSY_MODELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float bfloat_to_float(uint16_t bits)
{
    return float_from_bits((uint32_t)bits << 16);
}

static inline float half_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = bits >> 10 & 0x1f;
    uint32_t fraction = bits & 0x3ff;
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in fp32 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    if (exponent == 31) /* infinity or NaN */
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

#endif
