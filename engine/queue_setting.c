/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_setting: what operators set for a queue (docs/operations.md, sections "Concurrency" and
 * "Pausing a queue"): how many of its activities may run at once, over the whole fleet
 * (max_in_flight) and in each worker process (slots), and whether it is paused.
 *
 * Three layers, the later before the earlier: the configuration of the engine, what was kept in the
 * store, what was set since the engine started. A reload replaces the first, a `reset` drops the
 * others. Only what is kept is written; the last layer ends with the process. A pause ends when it
 * is ended, kept or not.
 *
 * A bound that sinks below what runs stops new dispatches until enough have ended; nothing running
 * is touched. Slots are the workers' own: they are told on their standing polls, and poll again. A
 * paused queue hands nothing out, workflow tasks of runs that stuck to a worker neither: those wait
 * in the queue of their name meanwhile. Clocks run on, as for a queue without workers.
 */
#include <string.h>

#include "api/codec.h"
#include "common/assert.h"
#include "engine/handler.h"
#include "engine/query.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

/* The store's name of a kept setting is this and the queue's name. */
#define STORE_PREFIX "queue/"

/* As in the configuration. */
#define SLOTS_MAX         4096
#define MAX_IN_FLIGHT_MAX 1000000

/* What an operator said; what has no flag was not said. */
struct layer {
    bool has_max, has_slots;
    int32_t max_in_flight; /* 0: no bound */
    int32_t slots;         /* 0: what each process was configured with */
};

struct queue_setting {
    /* configuration */
    int32_t configured_max;
    /* persistent state */
    struct layer kept;
    bool is_pause_kept;
    /* in-memory state */
    struct layer set;
    bool is_paused;
    /* links */
    UT_hash_handle hh;
    char queue[];
};

static int32_t bound_of(const struct queue_setting *setting)
{
    if (setting->set.has_max)
        return setting->set.max_in_flight;
    return setting->kept.has_max ? setting->kept.max_in_flight : setting->configured_max;
}

static int32_t slots_of(const struct queue_setting *setting)
{
    return setting->set.has_slots ? setting->set.slots : setting->kept.slots;
}

static struct queue_setting *find(const struct core *core, const char *queue)
{
    struct queue_setting *setting;
    HASH_FIND_STR(core->queue_settings, queue, setting);
    return setting;
}

static struct queue_setting *get(struct core *core, const char *queue)
{
    struct queue_setting *setting = find(core, queue);
    if (setting != NULL)
        return setting;
    setting = calloc(1, sizeof *setting + strlen(queue) + 1);
    ASSERT(setting != NULL);
    strcpy(setting->queue, queue);
    HASH_ADD_STR(core->queue_settings, queue, setting);
    return setting;
}

void queue_settings_destroy(struct core *core)
{
    struct queue_setting *setting, *next;
    HASH_ITER (hh, core->queue_settings, setting, next) {
        HASH_DEL(core->queue_settings, setting);
        free(setting);
    }
}

void queue_setting_read(const struct core *core, const char *queue, int32_t *ret_max_in_flight,
                        int32_t *ret_slots)
{
    const struct queue_setting *setting = find(core, queue);
    *ret_max_in_flight = setting != NULL ? bound_of(setting) : 0;
    *ret_slots = setting != NULL ? slots_of(setting) : 0;
}

bool queue_is_paused(const struct core *core, const char *queue)
{
    const struct queue_setting *setting = find(core, queue);
    return setting != NULL && setting->is_paused;
}

void queues_paused_fill(struct core *core, Api__DescribeFleetResponse *response)
{
    struct arena *arena = &core->outbox->arena;
    response->paused_queues =
        arena_calloc(arena, HASH_COUNT(core->queue_settings) + 1, sizeof(char *));
    ASSERT(response->paused_queues != NULL);
    for (const struct queue_setting *setting = core->queue_settings; setting != NULL;
         setting = setting->hh.next) {
        if (setting->is_paused)
            response->paused_queues[response->n_paused_queues++] = text_copy(arena, setting->queue);
    }
}

/* --- in force ------------------------------------------------------------------------------------
 */

void queue_setting_apply(struct core *core, struct queue *queue)
{
    const struct queue_setting *setting = find(core, queue->name);
    if (setting == NULL || queue->kind == QUEUE_STICKY)
        return;
    if (queue->kind == QUEUE_ACTIVITY)
        task_queue_limit_set(queue->tasks, bound_of(setting));
    task_queue_pause_set(queue->tasks, setting->is_paused);
    queue_dirty(core, queue);
}

/* The queue is known from now on, before anybody uses it. */
static void apply(struct core *core, const struct queue_setting *setting)
{
    queue_setting_apply(core, queue_get(core, QUEUE_ACTIVITY, setting->queue));
    if (setting->is_paused || queue_find(core, QUEUE_WORKFLOW, setting->queue) != NULL)
        queue_setting_apply(core, queue_get(core, QUEUE_WORKFLOW, setting->queue));
}

/* What waits for the one worker that its run sticks to waits in the queue of its name instead. */
static void unstick(struct core *core, const struct queue_setting *setting)
{
    for (struct run *run = core->runs, *next; run != NULL; run = next) {
        next = run->hh.next;
        if (run->sticky_queue == NULL || strcmp(run->task_queue, setting->queue) != 0)
            continue;
        const struct workflow_task *task = &run->workflow_task;
        if (task->state == WORKFLOW_TASK_SCHEDULED && task->sticky)
            workflow_task_unstick(core, run);
        query_unstick_run(core, run);
    }
}

/* --- what the engine starts with -----------------------------------------------------------------
 */

void core_configure_queue(struct core *core, const char *queue, int32_t max_in_flight)
{
    struct queue_setting *setting = get(core, queue);
    setting->configured_max = max_in_flight;
    queue_get(core, QUEUE_ACTIVITY, queue); /* it is known before anybody uses it */
}

void queue_settings_reconfigure(struct core *core, const struct core_queue_limit *limits,
                                size_t count)
{
    struct queue_setting *setting, *next;
    HASH_ITER (hh, core->queue_settings, setting, next)
        setting->configured_max = 0;
    for (size_t i = 0; i < count; i++)
        get(core, limits[i].queue)->configured_max = limits[i].max_in_flight;
    HASH_ITER (hh, core->queue_settings, setting, next)
        queue_setting_apply(core, queue_get(core, QUEUE_ACTIVITY, setting->queue));
}

void queue_settings_recovered(struct core *core)
{
    for (const struct queue_setting *setting = core->queue_settings; setting != NULL;
         setting = setting->hh.next) {
        if (setting->is_paused)
            unstick(core, setting);
    }
}

int core_recover_setting(struct core *core, const char *name, const struct store_blob *value,
                         struct error *err)
{
    size_t prefix = strlen(STORE_PREFIX);
    if (strncmp(name, STORE_PREFIX, prefix) != 0)
        return error_set(err, ERR_CORRUPT, "setting \"%.100s\" is not known", name);
    const char *queue = name + prefix;
    struct arena arena;
    arena_init(&arena, 64 * LIMIT_KIB);
    ProtobufCMessage *message = NULL;
    int code = validate_id("task queue", queue, err);
    if (code == 0)
        code = codec_decode(&engine__queue_setting__descriptor, value->data, value->size, &arena,
                            &message, err);
    if (code == 0) {
        const Engine__QueueSetting *kept = (const Engine__QueueSetting *)message;
        struct queue_setting *setting = get(core, queue);
        setting->kept = (struct layer){.has_max = kept->has_max_in_flight,
                                       .has_slots = kept->has_slots,
                                       .max_in_flight = kept->max_in_flight,
                                       .slots = kept->slots};
        setting->is_paused = setting->is_pause_kept = kept->paused;
        apply(core, setting);
    }
    arena_fini(&arena);
    return code;
}

/* --- setting -------------------------------------------------------------------------------------
 */

static int check(const Api__SetQueueLimitRequest *body, struct error *err)
{
    int code = validate_id("task queue", body->task_queue, err);
    if (code != 0)
        return code;
    if (body->max_in_flight < 0 || body->max_in_flight > MAX_IN_FLIGHT_MAX)
        return error_set(err, ERR_INVALID, "the bound must be from 0 (none) to %d",
                         MAX_IN_FLIGHT_MAX);
    if (body->slots < 0 || body->slots > SLOTS_MAX)
        return error_set(err, ERR_INVALID,
                         "slots must be from 0 (what processes were configured with) to %d",
                         SLOTS_MAX);
    return 0;
}

static bool is_kept(const struct queue_setting *setting)
{
    return setting->kept.has_max || setting->kept.has_slots || setting->is_pause_kept;
}

/* Writes what is kept; nothing kept is no row. */
static void write_kept(struct core *core, const struct queue_setting *setting)
{
    struct arena *arena = &core->outbox->arena;
    struct store_write write = {.setting = text_format(arena, STORE_PREFIX "%s", setting->queue)};
    if (is_kept(setting)) {
        Engine__QueueSetting message = ENGINE__QUEUE_SETTING__INIT;
        message.has_max_in_flight = setting->kept.has_max;
        message.max_in_flight = setting->kept.max_in_flight;
        message.has_slots = setting->kept.has_slots;
        message.slots = setting->kept.slots;
        message.has_paused = message.paused = setting->is_pause_kept;
        struct buffer bytes = {0};
        int code = codec_encode(&message.base, &bytes, NULL);
        ASSERT(code == 0);
        write.records = (struct store_blob){.data = memory_copy(arena, bytes.data, bytes.size),
                                            .size = bytes.size};
        buffer_fini(&bytes);
    }
    outbox_write(core->outbox, &write);
}

static void layer_say(struct layer *layer, const Api__SetQueueLimitRequest *body)
{
    if (body->has_max_in_flight) {
        layer->has_max = true;
        layer->max_in_flight = body->max_in_flight;
    }
    if (body->has_slots) {
        layer->has_slots = true;
        layer->slots = body->slots;
    }
}

static void change(struct core *core, struct queue_setting *setting,
                   const Api__SetQueueLimitRequest *body)
{
    bool was_kept = is_kept(setting);
    if (body->reset)
        setting->kept = setting->set = (struct layer){0};
    layer_say(&setting->set, body);
    if (body->keep)
        layer_say(&setting->kept, body);
    if (body->has_paused) {
        setting->is_paused = body->paused;
        setting->is_pause_kept = body->paused && (body->keep || setting->is_pause_kept);
    }
    if ((body->keep || body->reset || body->has_paused) && (was_kept || is_kept(setting)))
        write_kept(core, setting);
}

/* --- telling workers -----------------------------------------------------------------------------
 */

static void tell_slots(struct core *core, const struct pending_key *poll, int32_t slots)
{
    Api__PollActivityTaskQueueResponse *notice =
        message_new(&core->outbox->arena, &api__poll_activity_task_queue_response__descriptor);
    notice->has_poller_slots = true;
    notice->poller_slots = slots;
    reply_send_to(core, poll, true, false, notice);
}

struct audience {
    struct core *core;
    int32_t slots;
};

static void tell_poll(void *context, const struct task_queue_poll_info *info)
{
    const struct audience *audience = context;
    const struct pending_key poll = {info->session, info->correlation_id};
    if (info->slots > 0 && info->slots != audience->slots)
        tell_slots(audience->core, &poll, audience->slots);
}

void queue_setting_greet(struct core *core, const struct pending *poll, int32_t polled)
{
    const struct queue_setting *setting = find(core, poll->queue->name);
    if (poll->queue->kind != QUEUE_ACTIVITY || !poll->standing || setting == NULL)
        return;
    int32_t wanted = slots_of(setting);
    if (wanted != 0 && wanted != polled)
        tell_slots(core, &poll->key, wanted);
}

enum core_result handle_set_queue_limit(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    const Api__SetQueueLimitRequest *body = (const Api__SetQueueLimitRequest *)request->body;
    struct error err;
    int code = check(body, &err);
    if (code < 0) {
        reply_error(core, request, code, "%s", err.text);
        return CORE_HANDLED;
    }
    struct queue_setting *setting = get(core, body->task_queue);
    int32_t slots_before = slots_of(setting);
    change(core, setting, body);
    apply(core, setting);
    if (setting->is_paused)
        unstick(core, setting);
    if (slots_of(setting) != slots_before)
        task_queue_each_poll(queue_get(core, QUEUE_ACTIVITY, setting->queue)->tasks, tell_poll,
                             &(struct audience){core, slots_of(setting)});
    Api__SetQueueLimitResponse *response =
        message_new(&core->outbox->arena, &api__set_queue_limit_response__descriptor);
    response->has_max_in_flight = response->has_slots = response->has_paused = true;
    response->max_in_flight = bound_of(setting);
    response->slots = slots_of(setting);
    response->paused = setting->is_paused;
    reply_send(core, request, response);
    return CORE_HANDLED;
}
