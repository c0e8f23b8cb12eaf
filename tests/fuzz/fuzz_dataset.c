/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dataset: any bytes as a dataset: they are read to the end, what is fit can be split, and
 * each example is in one part. The first byte says where the held-out file begins (0: there is
 * none).
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/assert.h"
#include "workflows/finetune/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("dataset", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

static int count_example(void *arg, const char *text, size_t text_size, const char *label,
                         struct error *err)
{
    (void)err;
    ASSERT(text_size > 0 && strlen(label) > 0 && text[text_size] == '\0');
    ++*(uint64_t *)arg;
    return 0;
}

static void split(struct dataset *dataset, uint64_t examples)
{
    struct dataset_split_options options = {.held_out_share = 0.2, .validation_share = 0.2};
    uint64_t walked = 0;
    ASSERT(dataset_split(dataset, &options, NULL) == 0);
    for (int part = 0; part < DATASET_PARTS; part++)
        ASSERT(dataset_part_walk(dataset, part, count_example, &walked, NULL) == 0);
    ASSERT(walked == examples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = data[0] % size;
    size_t first = cut == 0 ? size - 1 : cut;
    struct dataset_source sources[2] = {{file_of(data + 1, first), "train"},
                                        {file_of(data + 1 + first, size - 1 - first), "held-out"}};
    struct dataset *dataset;
    ASSERT(dataset_read(sources, cut == 0 ? 1 : 2, &dataset, NULL) == 0);
    const struct dataset_report *report = dataset_report(dataset);
    if (dataset_is_fit(dataset))
        split(dataset, report->files[0].examples + report->files[1].examples);
    struct buffer text = {0};
    dataset_report_text(report, &text);
    ASSERT(report->totals[0] + report->totals[1] == 0 || text.size > 0);
    json_t *json = dataset_report_json(report);
    ASSERT(json != NULL);
    json_decref(json);
    buffer_fini(&text);
    dataset_destroy(dataset);
    close(sources[0].fd);
    close(sources[1].fd);
    return 0;
}
