/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_log_stream: whatever a child writes, in whatever pieces, the fleet's log has whole records
 * of text. The first byte chooses the format, the second how long the pieces are. */
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "common/assert.h"
#include "common/log.h"
#include "common/time_unit.h"
#include "common/utf8.h"
#include "supervisor/log/log_ring.h"
#include "supervisor/log/log_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *record, size_t size)
{
    ASSERT(size > 0 && size <= LOG_LINE_RECORD_MAX && record[size - 1] == '\n');
    ASSERT(utf8_is_valid(record, size));
    for (size_t i = 0; i + 1 < size; i++)
        ASSERT((unsigned char)record[i] >= 0x20 && record[i] != 0x7f);
    if (log_format_get() == LOG_FORMAT_JSON) {
        json_t *json = json_loadb(record, size, 0, NULL);
        ASSERT(json_is_object(json));
        json_decref(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct log_line_writer writer = {"worker-cpu", "cpu/0"};
    if (size < 2)
        return 0;
    log_open("supervisor", LOG_LEVEL_INFO, (enum log_format)(data[0] & 1));
    struct log_stream *stream;
    struct error err = {0};
    if (log_stream_create(&writer, check, &stream, &err) != 0)
        return 0;
    size_t piece = 1 + (size_t)data[1] * 16;
    uint64_t now_ns = 0;
    for (size_t at = 2; at < size; at += piece, now_ns += NS_PER_MS) {
        log_stream_feed(stream, (const char *)data + at, size - at < piece ? size - at : piece,
                        now_ns);
        log_stream_tick(stream, now_ns);
    }
    struct buffer last = {0};
    log_stream_last(stream, &last);
    ASSERT(last.size <= LOG_RING_SIZE && utf8_is_valid(last.data, last.size));
    ASSERT(last.size == 0 || last.data[last.size - 1] == '\n');
    buffer_fini(&last);
    log_stream_destroy(stream);
    return 0;
}
