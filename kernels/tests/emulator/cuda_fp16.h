/* SPDX-License-Identifier: Apache-2.0 */
/* Half precision on the host, for the emulator: IEEE binary16, rounded to nearest even. */
#ifndef EMULATOR_CUDA_FP16_H
#define EMULATOR_CUDA_FP16_H

#include <math.h>
#include <stdint.h>

struct __half {
    uint16_t bits;
};

inline float __half2float(__half half)
{
    int exponent = half.bits >> 10 & 0x1F, fraction = half.bits & 0x3FF;
    float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                      : exponent == 0
                          ? (float)fraction * 0x1p-24f
                          : (float)(fraction + 1024) * (float)(1 << exponent) * 0x1p-25f;

    return half.bits >> 15 ? -magnitude : magnitude;
}

inline __half __float2half_rn(float value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    float magnitude = fabsf(value);
    int exponent;

    if (isnan(value))
        return {0x7FFF};
    if (magnitude >= 65520.0f) /* half way between the largest and what would follow */
        return {(uint16_t)(sign | 0x7C00)};
    frexpf(magnitude, &exponent); /* magnitude = m * 2^exponent, 0.5 <= m < 1 */
    if (magnitude < 0x1p-14f)
        exponent = -13; /* subnormal: fixed spacing of 2^-24 */
    /* In units of the last place; nearbyint rounds to even. */
    int units = (int)nearbyintf(ldexpf(magnitude, 11 - exponent));
    if (magnitude < 0x1p-14f)
        return {(uint16_t)(sign | units)};
    return {(uint16_t)(sign | (((exponent + 14) << 10) + (units - 1024)))};
}

#endif
