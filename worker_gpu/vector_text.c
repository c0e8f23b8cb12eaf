/* SPDX-License-Identifier: Apache-2.0 */
/* vector_text: see vector_text.h. */
#include "worker_gpu/vector_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Powers of ten that a double holds exactly. */
static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define DIGITS_MIN 6 /* fewer are found by dropping zeros */
#define DIGITS_MAX 9 /* always enough for fp32 */

/* Where numbers of a normalised vector are: 0.ddd with at most four zeros after the point. */
#define PLAIN_MIN 1e-5
#define PLAIN_MAX 1.0

/* Appends 0.<zeros><digits of mantissa>, decimals digits after the point in all. */
static void append_fraction(struct buffer *out, uint64_t mantissa, int decimals)
{
    char text[32];
    while (mantissa % 10 == 0 && decimals > 1) {
        mantissa /= 10;
        decimals--;
    }
    for (int i = decimals + 1; i > 1; i--) {
        text[i] = (char)('0' + mantissa % 10);
        mantissa /= 10;
    }
    text[0] = '0';
    text[1] = '.';
    buffer_append(out, text, (size_t)decimals + 2);
}

/* For a magnitude of PLAIN_MIN to PLAIN_MAX: the fewest digits m for which m / 10^k, correctly
 * rounded to double as any JSON reader does it, rounds to the same fp32. m is below 2^53 and 10^k
 * exact, so the division here is that correctly rounded double. */
static bool append_plain(struct buffer *out, float value)
{
    double magnitude = fabs((double)value);
    int zeros = 0; /* after the point */
    while (magnitude * powers_of_ten[zeros + 1] < 1)
        zeros++;
    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        double power = powers_of_ten[zeros + digits];
        double mantissa = nearbyint(magnitude * power);
        if ((float)(mantissa / power) != (float)magnitude)
            continue;
        if (value < 0)
            buffer_append_byte(out, '-');
        append_fraction(out, (uint64_t)mantissa, zeros + digits);
        return true;
    }
    return false;
}

void float_append_json(struct buffer *out, float value)
{
    double magnitude = fabs((double)value);
    if (magnitude >= PLAIN_MIN && magnitude < PLAIN_MAX && (float)(magnitude) < 0.999999f &&
        append_plain(out, value))
        return;
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        char text[32];
        double back;
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (digits == DIGITS_MAX || (sscanf(text, "%lf", &back) == 1 && (float)back == value)) {
            buffer_append_text(out, text);
            return;
        }
    }
}

int vectors_append_json(struct buffer *out, const float *vectors, size_t rows, size_t width,
                        struct error *err)
{
    buffer_append_byte(out, '[');
    for (size_t row = 0; row < rows; row++) {
        if (row > 0)
            buffer_append_byte(out, ',');
        buffer_append_byte(out, '[');
        for (size_t i = 0; i < width; i++) {
            float value = vectors[row * width + i];
            if (!isfinite(value))
                return error_set(err, ERR_INTERNAL, "number %zu of vector %zu is not finite", i,
                                 row);
            if (i > 0)
                buffer_append_byte(out, ',');
            float_append_json(out, value);
        }
        buffer_append_byte(out, ']');
    }
    buffer_append_byte(out, ']');
    return 0;
}
