/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_setting: how many activities of a queue may run at once, over the whole fleet
 * (max_in_flight) and in each worker process (slots), as operators set it (docs/operations.md,
 * section "Concurrency").
 *
 * Three layers, the later before the earlier: the configuration of the engine, what was kept in the
 * store, what was set since the engine started. Only what is kept is written; the last layer ends
 * with the process.
 *
 * A bound that sinks below what runs stops new dispatches until enough have ended; nothing running
 * is touched. Slots are the workers' own: they are told on their standing polls, and poll again.
 */
#include <string.h>

#include "api/codec.h"
#include "common/assert.h"
#include "engine/handler.h"
#include "engine/validate.h"

/* The store's name of a kept setting is this and the queue's name. */
#define STORE_PREFIX "queue/"

/* As in the configuration. */
#define SLOTS_MAX         4096
#define MAX_IN_FLIGHT_MAX 1000000

struct queue_setting {
    /* configuration */
    int32_t configured_max;
    /* persistent state */
    bool has_kept_max, has_kept_slots;
    int32_t kept_max, kept_slots;
    /* in-memory state: what holds */
    int32_t max_in_flight; /* 0: no bound */
    int32_t slots;         /* 0: what each process was configured with */
    /* links */
    UT_hash_handle hh;
    char queue[];
};

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
    *ret_max_in_flight = setting != NULL ? setting->max_in_flight : 0;
    *ret_slots = setting != NULL ? setting->slots : 0;
}

/* --- what the engine starts with -----------------------------------------------------------------
 */

void core_configure_queue(struct core *core, const char *queue, int32_t max_in_flight)
{
    struct queue_setting *setting = get(core, queue);
    setting->configured_max = setting->max_in_flight = max_in_flight;
    queue_get(core, QUEUE_ACTIVITY, queue); /* it is known before anybody uses it */
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
        setting->has_kept_max = kept->has_max_in_flight;
        setting->has_kept_slots = kept->has_slots;
        setting->kept_max = kept->max_in_flight;
        setting->kept_slots = kept->slots;
        if (setting->has_kept_max)
            setting->max_in_flight = setting->kept_max;
        setting->slots = setting->kept_slots;
        queue_setting_apply(core, queue_get(core, QUEUE_ACTIVITY, queue));
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

/* Writes what is kept; nothing kept is no row. */
static void write_kept(struct core *core, const struct queue_setting *setting)
{
    struct arena *arena = &core->outbox->arena;
    struct store_write write = {.setting = text_format(arena, STORE_PREFIX "%s", setting->queue)};
    if (setting->has_kept_max || setting->has_kept_slots) {
        Engine__QueueSetting message = ENGINE__QUEUE_SETTING__INIT;
        message.has_max_in_flight = setting->has_kept_max;
        message.max_in_flight = setting->kept_max;
        message.has_slots = setting->has_kept_slots;
        message.slots = setting->kept_slots;
        struct buffer bytes = {0};
        int code = codec_encode(&message.base, &bytes, NULL);
        ASSERT(code == 0);
        write.records = (struct store_blob){.data = memory_copy(arena, bytes.data, bytes.size),
                                            .size = bytes.size};
        buffer_fini(&bytes);
    }
    outbox_write(core->outbox, &write);
}

static void change(struct core *core, struct queue_setting *setting,
                   const Api__SetQueueLimitRequest *body)
{
    bool was_kept = setting->has_kept_max || setting->has_kept_slots;
    if (body->reset) {
        setting->has_kept_max = setting->has_kept_slots = false;
        setting->kept_max = setting->kept_slots = 0;
        setting->max_in_flight = setting->configured_max;
        setting->slots = 0;
    }
    if (body->has_max_in_flight)
        setting->max_in_flight = body->max_in_flight;
    if (body->has_slots)
        setting->slots = body->slots;
    if (body->keep && body->has_max_in_flight) {
        setting->has_kept_max = true;
        setting->kept_max = body->max_in_flight;
    }
    if (body->keep && body->has_slots) {
        setting->has_kept_slots = true;
        setting->kept_slots = body->slots;
    }
    bool is_kept = setting->has_kept_max || setting->has_kept_slots;
    if ((body->keep && is_kept) || (body->reset && was_kept))
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

void queue_setting_greet(struct core *core, const struct pending *poll, int32_t slots)
{
    const struct queue_setting *setting = find(core, poll->queue->name);
    if (poll->queue->kind == QUEUE_ACTIVITY && poll->standing && setting != NULL &&
        setting->slots != 0 && setting->slots != slots)
        tell_slots(core, &poll->key, setting->slots);
}

void queue_setting_apply(struct core *core, struct queue *queue)
{
    const struct queue_setting *setting = find(core, queue->name);
    if (queue->kind == QUEUE_ACTIVITY && setting != NULL)
        task_queue_limit_set(queue->tasks, setting->max_in_flight);
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
    int32_t slots_before = setting->slots;
    change(core, setting, body);
    struct queue *queue = queue_get(core, QUEUE_ACTIVITY, body->task_queue);
    queue_setting_apply(core, queue);
    queue_dirty(core, queue);
    if (setting->slots != slots_before)
        task_queue_each_poll(queue->tasks, tell_poll, &(struct audience){core, setting->slots});
    Api__SetQueueLimitResponse *response =
        message_new(&core->outbox->arena, &api__set_queue_limit_response__descriptor);
    response->has_max_in_flight = response->has_slots = true;
    response->max_in_flight = setting->max_in_flight;
    response->slots = setting->slots;
    reply_send(core, request, response);
    return CORE_HANDLED;
}
