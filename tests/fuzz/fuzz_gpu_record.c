/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gpu_record: the input is what a helper sent. What is taken for a record leaves a board of
 * GPUs whole: states have reasons where they must, and a bad GPU stays bad. */
#include <string.h>

#include "common/assert.h"
#include "supervisor/gpu/gpu_health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_unit(const struct gpu_unit *unit)
{
    bool needs_reason = unit->state == GPU_STATE_BAD || unit->state == GPU_STATE_DEGRADED;
    ASSERT(unit->state < GPU_STATE_COUNT);
    ASSERT(memchr(unit->reason, '\0', sizeof unit->reason) != NULL);
    ASSERT((unit->reason[0] != '\0') == needs_reason);
    char key[GPU_KEY_MAX];
    ASSERT(gpu_unit_key(unit, key)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hardware_gpu gpus[] = {
        {.minor = 0, .bus_id = "0000:3b:00.0", .uuid = "GPU-a"},
        {.minor = 3},
        {.minor = -1, .uuid = "MIG-1"},
    };
    static struct gpu_board board;
    struct gpu_record record;
    memset(&board, 0, sizeof board);
    board.count = 3;
    board.rules.temperature_max = 90;
    for (size_t i = 0; i < board.count; i++)
        gpu_unit_init(&board.units[i], &gpus[i], 1);
    for (; size >= sizeof record; data += sizeof record, size -= sizeof record) {
        uint64_t were_bad = 0;
        for (size_t i = 0; i < board.count; i++)
            were_bad |= (uint64_t)(board.units[i].state == GPU_STATE_BAD) << i;
        if (!gpu_record_read(data, sizeof record, &record))
            continue;
        struct gpu_change change = gpu_board_take(&board, &record, 2);
        ASSERT((change.bad & were_bad) == 0 && (change.restart & were_bad) == 0);
        ASSERT((change.bad & ~change.states) == 0);
        for (size_t i = 0; i < board.count; i++) {
            check_unit(&board.units[i]);
            ASSERT((were_bad >> i & 1) == 0 || board.units[i].state == GPU_STATE_BAD);
        }
    }
    ASSERT(size == sizeof record || !gpu_record_read(data, size, &record));
    return 0;
}
