/* SPDX-License-Identifier: Apache-2.0 */
/* vectors: see vectors.h. */
#include "cli/vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

static int list_check(const json_t *lists, size_t dimension, struct error *err)
{
    size_t index, at;
    const json_t *list, *number;
    if (!json_is_array(lists))
        return error_set(err, ERR_PROTOCOL, "the vectors are not a list");
    json_array_foreach(lists, index, list)
    {
        if (!json_is_array(list) || json_array_size(list) != dimension || dimension == 0)
            return error_set(err, ERR_PROTOCOL, "vector %zu is not a list of %zu numbers", index,
                             dimension);
        json_array_foreach(list, at, number)
        {
            if (!json_is_number(number))
                return error_set(err, ERR_PROTOCOL, "vector %zu holds something else than numbers",
                                 index);
        }
    }
    return 0;
}

int vectors_append(struct vectors *vectors, const json_t *lists, struct error *err)
{
    size_t more = json_array_size(lists);
    size_t dimension =
        vectors->count > 0 ? vectors->dimension : json_array_size(json_array_get(lists, 0));
    int code = list_check(lists, dimension, err);
    if (code != 0 || more == 0)
        return code;
    float *values = realloc(vectors->values, (vectors->count + more) * dimension * sizeof(*values));
    if (values == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    float *to = values + vectors->count * dimension;
    for (size_t i = 0; i < more; i++)
        for (size_t j = 0; j < dimension; j++)
            *to++ = (float)json_number_value(json_array_get(json_array_get(lists, i), j));
    *vectors = (struct vectors){values, vectors->count + more, dimension};
    return 0;
}

void vectors_fini(struct vectors *vectors)
{
    free(vectors->values);
    *vectors = (struct vectors){0};
}

const float *vectors_get(const struct vectors *vectors, size_t index)
{
    ASSERT(index < vectors->count);
    return vectors->values + index * vectors->dimension;
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double vectors_norm(const struct vectors *vectors, size_t index)
{
    const float *vector = vectors_get(vectors, index);
    return sqrt(dot(vector, vector, vectors->dimension));
}

double vectors_cosine(const struct vectors *vectors, size_t a, size_t b)
{
    double norms = vectors_norm(vectors, a) * vectors_norm(vectors, b);
    if (norms == 0)
        return 0;
    return dot(vectors_get(vectors, a), vectors_get(vectors, b), vectors->dimension) / norms;
}

size_t vectors_nearest(const struct vectors *vectors, struct vector_pair *ret_pairs, size_t max)
{
    size_t count = 0;
    for (size_t a = 0; a < vectors->count; a++)
        for (size_t b = a + 1; b < vectors->count; b++) {
            struct vector_pair pair = {a, b, vectors_cosine(vectors, a, b)};
            size_t place = count;
            while (place > 0 && ret_pairs[place - 1].cosine < pair.cosine)
                place--;
            if (place == max)
                continue;
            if (count < max)
                count++;
            memmove(ret_pairs + place + 1, ret_pairs + place,
                    (count - 1 - place) * sizeof(*ret_pairs));
            ret_pairs[place] = pair;
        }
    return count;
}
