/* SPDX-License-Identifier: Apache-2.0 */
/* vector_rows: see vector_rows.h. */
#include "workflows/evaluation/vector_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/assert.h"

/* Sums that do not wait for each other: the compiler makes them lanes. */
#define LANES 16u

static size_t part_size(const struct vector_rows *rows, const struct vector_part *part)
{
    return (size_t)part->count * rows->dimension * sizeof(float);
}

int vector_rows_add(struct vector_rows *rows, int fd, uint32_t count, struct error *err)
{
    struct vector_part part = {.first = rows->count, .count = count};
    struct stat file;
    if (fstat(fd, &file) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not look at a file of vectors");
    if (count == 0 || (uint64_t)file.st_size != part_size(rows, &part))
        return error_set(err, ERR_INVALID,
                         "a file of vectors has %lld bytes, not those of %u times %u numbers",
                         (long long)file.st_size, count, rows->dimension);
    struct vector_part *parts = realloc(rows->parts, (rows->part_count + 1) * sizeof *parts);
    if (parts == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    rows->parts = parts;
    void *mapped = mmap(NULL, part_size(rows, &part), PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED)
        return error_set_errno(err, ERR_IO, errno, "could not map a file of vectors");
    part.rows = mapped;
    parts[rows->part_count++] = part;
    rows->count += count;
    return 0;
}

void vector_rows_fini(struct vector_rows *rows)
{
    for (size_t i = 0; i < rows->part_count; i++)
        munmap((void *)(uintptr_t)rows->parts[i].rows, part_size(rows, &rows->parts[i]));
    free(rows->parts);
    *rows = (struct vector_rows){0};
}

const float *vector_rows_get(const struct vector_rows *rows, uint32_t row)
{
    ASSERT(row < rows->count);
    size_t low = 0, high = rows->part_count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (rows->parts[middle].first <= row)
            low = middle;
        else
            high = middle - 1;
    }
    const struct vector_part *part = &rows->parts[low];
    return part->rows + (size_t)(row - part->first) * rows->dimension;
}

float vector_rows_cosine(const struct vector_rows *rows, uint32_t first, uint32_t second)
{
    const float *a = vector_rows_get(rows, first), *b = vector_rows_get(rows, second);
    float sums[LANES] = {0}, sum = 0;
    uint32_t place = 0;
    for (; place + LANES <= rows->dimension; place += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += a[place + lane] * b[place + lane];
    }
    for (; place < rows->dimension; place++)
        sum += a[place] * b[place];
    for (uint32_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}
