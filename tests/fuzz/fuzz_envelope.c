/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_envelope: any bytes are a row of envelopes or an error; bodies lie within the frame. */
#include "common/assert.h"
#include "common/limits.h"
#include "queues/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope_reader reader;
    struct envelope envelope;
    struct error err = {0};
    envelope_reader_init(&reader, data, size);
    size_t offset = 0;
    int rc;
    while ((rc = envelope_next(&reader, &envelope, &err)) == 1) {
        ASSERT(reader.offset > offset && reader.offset <= size);
        offset = reader.offset;
        if (envelope.version != WIRE_VERSION)
            continue;
        ASSERT(envelope.body >= data && envelope.body + envelope.body_size <= data + size);
        struct buffer again = {0};
        ASSERT(envelope_append(&again, &envelope, NULL) == 0);
        ASSERT(again.size <= envelope.body_size + ENVELOPE_HEAD_MAX);
        buffer_fini(&again);
    }
    ASSERT(rc == 0 ? reader.offset == size : err.text[0] != '\0');
    return 0;
}
