/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors_writer: see safetensors_writer.h. */
#include "models/safetensors_writer.h"

#include <string.h>

#include "common/assert.h"

#define LENGTH_SIZE 8 /* the header's length stands before it */
#define ALIGNMENT   8

struct tensor tensor_over(const char *name, enum tensor_dtype dtype, uint32_t rank,
                          const uint64_t *shape, const void *data)
{
    ASSERT(rank <= TENSOR_RANK_MAX);
    struct tensor tensor = {.name = name, .dtype = dtype, .rank = rank, .count = 1, .data = data};
    for (uint32_t i = 0; i < rank; i++) {
        tensor.shape[i] = shape[i];
        tensor.count *= shape[i];
    }
    tensor.size = (size_t)tensor.count * tensor_dtype_size(dtype);
    return tensor;
}

static void write_header(const struct tensor *tensors, size_t count, struct buffer *header)
{
    size_t begin = 0;
    buffer_append_text(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        char shape[TENSOR_SHAPE_TEXT];
        buffer_printf(header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                      tensors[i].name, tensor_dtype_name(tensors[i].dtype),
                      tensor_shape_format(&tensors[i], shape), begin, begin + tensors[i].size);
        begin += tensors[i].size;
    }
    buffer_append_byte(header, '}');
    while (header->size % ALIGNMENT != 0 && !header->failed)
        buffer_append_byte(header, ' ');
}

void safetensors_write_header(const struct tensor *tensors, size_t count, struct buffer *out)
{
    struct buffer header = {0};
    write_header(tensors, count, &header);
    for (int i = 0; i < LENGTH_SIZE; i++)
        buffer_append_byte(out, (uint8_t)((uint64_t)header.size >> (8 * i)));
    buffer_append(out, header.data, header.size);
    out->failed |= header.failed;
    buffer_fini(&header);
}

void safetensors_write(const struct tensor *tensors, size_t count, struct buffer *out)
{
    safetensors_write_header(tensors, count, out);
    for (size_t i = 0; i < count; i++)
        buffer_append(out, tensors[i].data, tensors[i].size);
}
