/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gpu_tasks: up to the first NUL the input is an activity's input, after it the heartbeat
 * details of an earlier dispatch. Input is read or refused with a text; of what is read every text
 * has its tokens, and a checkpoint taken over covers only texts that are there. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "worker_gpu/embed_task.h"
#include "worker_gpu/infer_task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made on first use and kept: a static pointer holds it, so it is no leak. */
static const struct model *get_model(void)
{
    static struct model *model;
    if (model == NULL) {
        char folder[] = "/tmp/argosy-fuzz-XXXXXX", path[PATH_MAX];
        struct model_shape shape = MODEL_SHAPE_TINY;
        ASSERT(mkdtemp(folder) != NULL);
        snprintf(path, sizeof path, "%s/model", folder);
        ASSERT(model_synth(path, &shape, 1, NULL) == 0 && model_open(path, &model, NULL) == 0);
        folder_remove(folder);
    }
    return model;
}

static void check_lengths(const uint32_t *cu_seqlens, uint32_t texts)
{
    for (uint32_t i = 0; i < texts; i++) {
        uint32_t length = cu_seqlens[i + 1] - cu_seqlens[i];
        ASSERT(length >= 2 && length <= get_model()->config.max_seq_length);
    }
}

static void try_embed(const char *input, size_t size, const char *details, size_t details_size)
{
    struct embed_task task;
    struct error err = {0};
    if (embed_task_init(&task, input, size, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    if (embed_task_tokenise(&task, get_model(), &err) != 0) {
        ASSERT(err.text[0] != '\0');
        embed_task_fini(&task);
        return;
    }
    check_lengths(task.cu_seqlens, task.texts);
    uint32_t done = embed_task_resume(&task, details, details_size, "m");
    ASSERT(done <= task.texts && done == task.done);
    struct buffer out = {0};
    embed_task_details(&task, "m", &out);
    if (done == task.texts)
        embed_task_result(&task, &out, &err);
    buffer_fini(&out);
    embed_task_fini(&task);
}

static void try_infer(const char *input, size_t size)
{
    struct infer_task task;
    struct error err = {0};
    if (infer_task_init(&task, input, size, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    ASSERT(infer_task_tokenise(&task, get_model(), &err) == 0);
    check_lengths(task.cu_seqlens, 1);
    struct buffer out = {0};
    ASSERT(infer_task_result(&task, "tiny", "label", 0.5f, &out, &err) == 0 || err.text[0] != '\0');
    buffer_fini(&out);
    infer_task_fini(&task);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t input_size = end != NULL ? (size_t)(end - data) : size;
    const char *input = (const char *)data;
    const char *details = end != NULL ? input + input_size + 1 : "";
    try_embed(input, input_size, details, end != NULL ? size - input_size - 1 : 0);
    try_infer(input, input_size);
    return 0;
}
