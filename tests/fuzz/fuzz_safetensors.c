/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_safetensors: any bytes open as a checkpoint, whose tensors are then all readable, or are
 * refused with a text. */
#include <stdlib.h>

#include "common/assert.h"
#include "models/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const struct tensor *tensor)
{
    char text[TENSOR_SHAPE_TEXT];
    tensor_shape_format(tensor, text);
    ASSERT(tensor->size == tensor->count * tensor_dtype_size(tensor->dtype));
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < tensor->size; i++)
        sum = (uint8_t)(sum + tensor->data[i]);
    float *values = malloc(tensor->count * sizeof *values + 1);
    ASSERT(values != NULL);
    tensor_to_float(tensor, values, NULL);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *file;
    struct error err = {0};
    if (safetensors_parse(data, size, "input", &file, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return 0;
    }
    size_t count;
    const struct tensor *tensors = safetensors_tensors(file, &count);
    for (size_t i = 0; i < count; i++) {
        read_tensor(&tensors[i]);
        ASSERT(safetensors_find(file, tensors[i].name) == &tensors[i]);
    }
    safetensors_close(file);
    return 0;
}
