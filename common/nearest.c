/* SPDX-License-Identifier: Apache-2.0 */
/* nearest: see nearest.h. Optimal string alignment distance over three rows. */
#include "common/nearest.h"

#include <stdint.h>
#include <string.h>

#define NAME_MAX_LENGTH 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NAME_MAX_LENGTH + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[a_length % 3][b_length];
}

/* The only entry that begins with name; NULL when there is none, or more. */
static const char *find_longer(const char *name, size_t length, const char *const *names,
                               size_t count)
{
    const char *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], name, length) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = names[i];
    }
    return found;
}

const char *nearest_name(const char *name, const char *const *names, size_t count)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_LENGTH)
        return NULL;
    const char *best = NULL;
    size_t best_distance = (length / 3 > 0 ? length / 3 : 1) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(names[i]);
        if (candidate_length > NAME_MAX_LENGTH)
            continue;
        size_t distance = edit_distance(name, length, names[i], candidate_length);
        if (distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best == NULL && length >= 3 ? find_longer(name, length, names, count) : best;
}
