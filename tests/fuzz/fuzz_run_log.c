/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_run_log: any bytes as a run's log give a run or an error. What loads has dense event ids and
 * can be written down.
 */
#include "common/assert.h"
#include "engine/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_blob blob = {.data = data, .size = size};
    struct error err = {0};
    struct run *run = run_create(1, "fuzz", "7b1c8f5e-1d3a-4c59-9a86-0f3f0e9d2b11");
    if (run_load(run, &blob, 1, &err) == 0) {
        struct buffer text = {0};
        run_dump(run, &text);
        buffer_fini(&text);
        for (size_t i = 0; i < run->history.count; i++)
            ASSERT(run->history.entries[i].event->event_id == (int64_t)i + 1);
    } else {
        ASSERT(err.code == ERR_CORRUPT);
    }
    run_destroy(run);
    return 0;
}
