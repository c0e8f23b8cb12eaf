/* SPDX-License-Identifier: Apache-2.0 */
/* run: see run.h. Here: its life and its activations. */
#include "sdk/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "sdk/coroutine_watch.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"

/* FNV-1a, 64 bits: the seed depends on the run id and on nothing else. */
static uint64_t seed_of(const char *run_id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const unsigned char *byte = (const unsigned char *)run_id; *byte != 0; byte++)
        hash = (hash ^ *byte) * UINT64_C(1099511628211);
    return hash;
}

int run_create(const struct run_config *config, const char *workflow_id, const char *run_id,
               struct argosy_workflow **ret_run, struct error *err)
{
    struct argosy_workflow *run = calloc(1, sizeof *run);
    if (run == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    arena_init(&run->arena.arena, RUN_MEMORY_MAX);
    run->config = config;
    run->random_state = seed_of(run_id);
    run->first_input = argosy_payload_null();
    run->info.name_space = config->name_space;
    run->info.workflow_id = arena_strdup(&run->arena.arena, workflow_id);
    run->info.run_id = arena_strdup(&run->arena.arena, run_id);
    if (run->info.workflow_id == NULL || run->info.run_id == NULL) {
        run_destroy(run);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_run = run;
    return 0;
}

void run_destroy(struct argosy_workflow *run)
{
    if (run == NULL)
        return;
    coroutine_destroy(run->coroutine);
    arena_fini(&run->arena.arena);
    free(run);
}

/* ---- memory and giving up ---- */

void run_give_up(struct argosy_workflow *run, int code, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&run->fatal, code, "%s", text);
    coroutine_yield(run->current);
    UNREACHABLE(); /* what was given up is never resumed */
}

void run_check_memory(struct argosy_workflow *run, const void *pointer)
{
    if (pointer == NULL)
        run_give_up(run, ERR_LIMIT, "the run's memory is exhausted: %zu MiB are allowed",
                    RUN_MEMORY_MAX / LIMIT_MIB);
}

void *run_alloc(struct argosy_workflow *run, size_t size)
{
    void *memory = arena_alloc(&run->arena.arena, size);
    run_check_memory(run, memory);
    return memory;
}

/* ---- activation ---- */

static void run_code(void *argument)
{
    struct argosy_workflow *run = argument;
    run->result_code =
        run->type->function(run, run->type->user_data, &run->result, &run->result_error);
    run->is_done = true;
    close_command_make(run);
}

/* Runs coroutine until it waits, returns or gives up. */
static void switch_to(struct argosy_workflow *run, struct coroutine *coroutine, enum run_mode mode)
{
    struct coroutine *outer = run->current;
    enum run_mode outer_mode = run->mode;
    run->current = coroutine;
    run->mode = mode;
    coroutine_resume(coroutine);
    run->mode = outer_mode;
    run->current = outer;
    if (coroutine_has_overflowed(coroutine))
        error_set(&run->fatal, ERR_LIMIT,
                  "workflow type \"%s\", id \"%s\": the code ran over its stack of %zu KiB (large "
                  "local arrays and deep recursion; argosy_workflow_alloc has memory)",
                  run->info.workflow_type, run->info.workflow_id,
                  coroutine_stack_size(coroutine) / 1024);
    if (coroutine_was_interrupted(coroutine))
        error_set(&run->fatal, ERR_LIMIT,
                  "workflow type \"%s\", id \"%s\", run \"%s\": the code computed for over %d s "
                  "without waiting for anything (an endless loop? long work belongs into an "
                  "activity)",
                  run->info.workflow_type, run->info.workflow_id, run->info.run_id,
                  (int)(COROUTINE_WATCH_NS / NS_PER_S));
}

int run_call(struct argosy_workflow *run, enum run_mode mode, coroutine_fn *function,
             void *argument)
{
    struct coroutine *coroutine;
    int code = coroutine_create(run->config->pool, function, argument, &coroutine, &run->fatal);
    if (code < 0)
        return code;
    switch_to(run, coroutine, mode);
    coroutine_destroy(coroutine);
    return run->fatal.code;
}

/* What came since the last activation: signals, then a cancel request. */
static void deliver(void *argument)
{
    struct argosy_workflow *run = argument;
    signal_deliver(run);
    if (!run->is_cancel_requested || run->is_cancel_delivered)
        return;
    run->is_cancel_delivered = true;
    struct argosy_future *future, *next;
    DL_FOREACH_SAFE (run->pending, future, next) {
        if (!future->is_ready && !future->is_shielded)
            future->ops->cancel(future);
    }
}

void run_activate(struct argosy_workflow *run, int64_t now_utc_us, bool is_live)
{
    run->now_utc_us = now_utc_us;
    run->is_replaying = !is_live;
    if (run->is_done)
        return;
    bool has_news = (run->signals != NULL && run->signal_handlers != NULL) ||
                    (run->is_cancel_requested && !run->is_cancel_delivered);
    if (has_news && run_call(run, RUN_MODE_HANDLER, deliver, run) < 0)
        return;
    if (run->coroutine == NULL) {
        if (coroutine_create(run->config->pool, run_code, run, &run->coroutine, &run->fatal) < 0)
            return;
    } else if (!run->wait_is_over(run->wait)) {
        return;
    }
    switch_to(run, run->coroutine, RUN_MODE_CODE);
}

int run_wait(struct argosy_workflow *run, bool (*is_over)(const void *wait), const void *wait,
             struct argosy_error *err)
{
    if (run->mode != RUN_MODE_CODE)
        return argosy_error_set(err, ARGOSY_ERR_STATE, "a handler cannot wait");
    while (!is_over(wait)) {
        run->wait_is_over = is_over;
        run->wait = wait;
        coroutine_yield(run->coroutine);
    }
    return 0;
}

bool run_is_cut_off(const struct argosy_workflow *run)
{
    return run->is_cancel_delivered && !run->is_shielded;
}

bool run_may_command(const struct argosy_workflow *run)
{
    return run->mode != RUN_MODE_QUERY;
}

/* ---- commands ---- */

Api__Command *run_command_add(struct argosy_workflow *run, struct command *command,
                              const struct command_ops *ops, void *owner, Api__CommandType type)
{
    *command = (struct command){.ops = ops, .owner = owner};
    DL_APPEND(run->commands, command);
    if (run->is_replaying)
        return NULL;
    Api__Command *message = arena_alloc(run->task_arena, sizeof *message);
    run_check_memory(run, message);
    api__command__init(message);
    message->has_command_type = 1;
    message->command_type = type;
    command->message = message;
    return message;
}

void run_command_remove(struct argosy_workflow *run, struct command *command)
{
    DL_DELETE(run->commands, command);
}

Api__Command **run_commands(const struct argosy_workflow *run, struct arena *task_arena,
                            size_t *ret_count)
{
    size_t count = 0;
    const struct command *command;
    DL_COUNT(run->commands, command, count);
    Api__Command **messages = arena_alloc(task_arena, count * sizeof(Api__Command *));
    if (messages == NULL)
        return NULL;
    size_t i = 0;
    DL_FOREACH (run->commands, command)
        messages[i++] = command->message;
    *ret_count = count;
    return messages;
}
