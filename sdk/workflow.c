/* SPDX-License-Identifier: Apache-2.0 */
/* workflow: what workflow code may call of its run (include/argosy/workflow.h). */
#include <argosy/workflow.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid.h"
#include "sdk/run.h"

_Static_assert(ARGOSY_UUID_SIZE == UUID_TEXT_SIZE, "uuids have one size");

/* Longer log lines are cut. */
#define LOG_TEXT_MAX 1024

const struct argosy_workflow_info *argosy_workflow_info(const struct argosy_workflow *run)
{
    return &run->info;
}

const struct argosy_payload *argosy_workflow_input(const struct argosy_workflow *run)
{
    return &run->first_input;
}

struct argosy_payloads argosy_workflow_inputs(const struct argosy_workflow *run)
{
    return run->inputs;
}

void *argosy_workflow_alloc(struct argosy_workflow *run, size_t size)
{
    return run_alloc(run, size);
}

struct argosy_arena *argosy_workflow_arena(struct argosy_workflow *run)
{
    return &run->arena;
}

int64_t argosy_workflow_now_utc_us(const struct argosy_workflow *run)
{
    return run->now_utc_us;
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
uint64_t argosy_workflow_random(struct argosy_workflow *run)
{
    uint64_t mixed = run->random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void argosy_workflow_uuid(struct argosy_workflow *run, char ret_text[ARGOSY_UUID_SIZE])
{
    uint64_t entropy[2] = {argosy_workflow_random(run), argosy_workflow_random(run)};
    uint8_t bytes[16];
    memcpy(bytes, entropy, sizeof bytes);
    uuid_format(bytes, ret_text);
}

void argosy_workflow_log(struct argosy_workflow *run, const char *format, ...)
{
    if (run->is_replaying || run->config->on_log == NULL)
        return;
    char text[LOG_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    run->config->on_log(run->config->log_context,
                        &(struct argosy_log_record){.level = ARGOSY_LOG_INFO,
                                                    .text = text,
                                                    .workflow_type = run->info.workflow_type,
                                                    .workflow_id = run->info.workflow_id,
                                                    .run_id = run->info.run_id});
}

bool argosy_workflow_is_replaying(const struct argosy_workflow *run)
{
    return run->is_replaying;
}

bool argosy_workflow_is_canceled(const struct argosy_workflow *run)
{
    return run->is_cancel_delivered;
}

bool argosy_workflow_shield(struct argosy_workflow *run, bool is_shielded)
{
    bool was_shielded = run->is_shielded;
    run->is_shielded = is_shielded;
    return was_shielded;
}
