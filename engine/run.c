/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: making and dropping a run, reading its log, finding what is open in it. See run.h; what a
 * record does to the state is in run_apply.c.
 */
#include "engine/run.h"

#include <inttypes.h>
#include <string.h>

#include "api/codec.h"
#include "common/assert.h"
#include "engine/event.h"

struct run *run_create(int64_t run_key, const char *workflow_id, const char *run_id)
{
    struct run *run = calloc(1, sizeof *run);
    ASSERT(run != NULL);
    arena_init(&run->arena, ARENA_NO_LIMIT);
    run->run_key = run_key;
    run->workflow_id = text_copy(&run->arena, workflow_id);
    ASSERT(strlen(run_id) < sizeof run->run_id);
    memcpy(run->run_id, run_id, strlen(run_id) + 1);
    run->deadline = (struct deadline){.kind = DEADLINE_RUN, .major = run_key};
    struct workflow_task *task = &run->workflow_task;
    task->attempt = 1;
    task->task = (struct task){.kind = TASK_WORKFLOW, .run = run};
    task->deadline = (struct deadline){.kind = DEADLINE_WORKFLOW_TASK, .major = run_key};
    return run;
}

void run_destroy(struct run *run)
{
    if (run == NULL)
        return;
    ASSERT(run->deadline.place == 0 && run->workflow_task.deadline.place == 0);
    struct activity *activity;
    DL_FOREACH (run->activities, activity) {
        kept_fini(&activity->heartbeat_details);
        kept_fini(&activity->last_failure);
        arena_fini(&activity->identity_arena);
    }
    HASH_CLEAR(hh, run->signal_ids);
    free(run->history.entries);
    free(run->buffered.entries);
    arena_fini(&run->arena);
    free(run);
}

/* --- the log --------------------------------------------------------------------------------- */

#define LENGTH_SIZE 4

size_t record_encode(const Engine__Record *record, struct buffer *buffer)
{
    size_t start = buffer->size;
    const uint8_t space[LENGTH_SIZE] = {0};
    buffer_append(buffer, space, sizeof space);
    int rc = codec_encode(&record->base, buffer, NULL);
    ASSERT(rc == 0 && !buffer->failed);
    size_t size = buffer->size - start - LENGTH_SIZE;
    for (int i = 0; i < LENGTH_SIZE; i++)
        buffer->data[start + (size_t)i] = (uint8_t)(size >> (8 * i));
    return size;
}

/* Applies the record in data; an event in it moves into the run's arena. */
static int load_record(struct run *run, const uint8_t *data, size_t size, struct arena *scratch,
                       struct error *err)
{
    ProtobufCMessage *message;
    struct error reason;
    arena_reset(scratch);
    if (codec_decode(&engine__record__descriptor, data, size, scratch, &message, &reason) < 0)
        return error_set(err, ERR_CORRUPT, "record cannot be decoded: %s", reason.text);
    Engine__Record *record = (Engine__Record *)message;
    if (record->kind_case == ENGINE__RECORD__KIND_EVENT)
        record->event = message_copy(&run->arena, record->event);
    else if (record->kind_case == ENGINE__RECORD__KIND_BUFFERED)
        record->buffered = message_copy(&run->arena, record->buffered);
    return run_apply(run, record, size, err);
}

static int load_blob(struct run *run, const struct store_blob *blob, struct arena *scratch,
                     struct error *err)
{
    size_t offset = 0;
    while (offset < blob->size) {
        size_t left = blob->size - offset, size = 0;
        if (left < LENGTH_SIZE)
            return error_set(err, ERR_CORRUPT, "record length is cut off");
        for (int i = 0; i < LENGTH_SIZE; i++)
            size |= (size_t)blob->data[offset + (size_t)i] << (8 * i);
        offset += LENGTH_SIZE;
        if (size > left - LENGTH_SIZE)
            return error_set(err, ERR_CORRUPT, "record is cut off");
        int rc = load_record(run, blob->data + offset, size, scratch, err);
        if (rc < 0)
            return rc;
        offset += size;
    }
    return 0;
}

int run_load(struct run *run, const struct store_blob *records, size_t record_count,
             struct error *err)
{
    struct arena scratch;
    arena_init(&scratch, ARENA_NO_LIMIT);
    int rc = 0;
    for (size_t i = 0; i < record_count && rc == 0; i++) {
        rc = load_blob(run, &records[i], &scratch, err);
        if (rc < 0)
            error_prefix(err, "run %s, transition %zu", run->run_id, i);
    }
    arena_fini(&scratch);
    if (rc == 0 && run->status == 0)
        rc = error_set(err, ERR_CORRUPT, "run %s: its log has no first event", run->run_id);
    return rc;
}

/* --- what is open ------------------------------------------------------------------------------
 */

uint32_t id_hash(const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id != '\0'; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    return hash;
}

struct activity *run_activity_get(const struct run *run, int64_t scheduled_event_id)
{
    if (scheduled_event_id < 1 || scheduled_event_id > (int64_t)run->history.count)
        return NULL;
    const struct history_entry *entry = &run->history.entries[scheduled_event_id - 1];
    if (entry->event->event_type != EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        return NULL;
    return entry->subject;
}

struct activity *run_activity_find(const struct run *run, const char *activity_id)
{
    uint32_t hash = id_hash(activity_id);
    struct activity *activity;
    DL_FOREACH (run->activities, activity) {
        if (activity->id_hash == hash &&
            strcmp(activity->attributes->activity_id, activity_id) == 0)
            return activity;
    }
    return NULL;
}

bool run_activity_is_closing(const struct run *run, int64_t scheduled_event_id)
{
    for (size_t i = 0; scheduled_event_id > 0 && i < run->buffered.count; i++) {
        if (event_closed_activity(run->buffered.entries[i].event, NULL) == scheduled_event_id)
            return true;
    }
    return false;
}

struct timer *run_timer_find(const struct run *run, const char *timer_id)
{
    uint32_t hash = id_hash(timer_id);
    struct timer *timer;
    DL_FOREACH (run->timers, timer) {
        if (timer->id_hash == hash && strcmp(timer->timer_id, timer_id) == 0)
            return timer;
    }
    return NULL;
}

const Api__HistoryEvent *run_fired_timer_find(const struct run *run, const char *timer_id)
{
    for (size_t i = 0; i < run->buffered.count; i++) {
        const Api__HistoryEvent *event = run->buffered.entries[i].event;
        if (event->event_type == EVENT_TYPE_TIMER_FIRED &&
            strcmp(text_or_empty(event->timer_fired_event_attributes->timer_id), timer_id) == 0)
            return event;
    }
    return NULL;
}

/* --- as text -----------------------------------------------------------------------------------
 */

static void dump_message(const char *name, const void *message, struct buffer *text)
{
    buffer_printf(text, "%s=", name);
    if (message != NULL) {
        struct buffer bytes = {0};
        int rc = codec_encode(message, &bytes, NULL);
        ASSERT(rc == 0);
        static const char digits[] = "0123456789abcdef";
        for (size_t i = 0; i < bytes.size; i++) {
            buffer_append_byte(text, (uint8_t)digits[bytes.data[i] >> 4]);
            buffer_append_byte(text, (uint8_t)digits[bytes.data[i] & 15]);
        }
        buffer_fini(&bytes);
    }
    buffer_append_byte(text, '\n');
}

static void dump_history(const char *name, const struct history *history, struct buffer *text)
{
    buffer_printf(text, "%s.count=%zu\n%s.size=%zu\n", name, history->count, name, history->size);
    for (size_t i = 0; i < history->count; i++)
        dump_message(name, history->entries[i].event, text);
}

static void dump_activity(const struct activity *activity, struct buffer *text)
{
    buffer_printf(text,
                  "activity %" PRId64 " state=%d attempt=%d dispatch=%d loss_count=%d "
                  "scheduled=%" PRId64 " due=%" PRId64 " started=%" PRId64 " heartbeat=%" PRId64
                  " ended=%" PRId64 " cancel=%" PRId64 " identity=%s\n",
                  activity->scheduled_event_id, activity->state, activity->attempt,
                  activity->dispatch, activity->loss_count, activity->scheduled_us,
                  activity->due_us, activity->started_us, activity->heartbeat_us_last,
                  activity->attempt_ended_us, activity->cancel_requested_id,
                  text_or_empty(activity->identity));
    dump_message("heartbeat_details", activity->heartbeat_details.message, text);
    dump_message("last_failure", activity->last_failure.message, text);
}

static int compare_request_ids(const void *a, const void *b)
{
    return strcmp((*(struct request_id *const *)a)->id, (*(struct request_id *const *)b)->id);
}

static void dump_signal_ids(const struct run *run, struct buffer *text)
{
    size_t count = HASH_CNT(hh, run->signal_ids);
    struct request_id **ids = calloc(count + 1, sizeof(struct request_id *));
    ASSERT(ids != NULL);
    size_t i = 0;
    for (struct request_id *id = run->signal_ids; id != NULL; id = id->hh.next)
        ids[i++] = id;
    qsort(ids, count, sizeof *ids, compare_request_ids);
    for (i = 0; i < count; i++)
        buffer_printf(text, "signal_id=%s\n", ids[i]->id);
    free(ids);
}

void run_dump(const struct run *run, struct buffer *text)
{
    const struct workflow_task *task = &run->workflow_task;
    buffer_printf(text, "run %" PRId64 " %s %s request=%s status=%d close=%" PRId64 "\n",
                  run->run_key, run->workflow_id, run->run_id, text_or_empty(run->request_id),
                  run->status, run->close_us);
    buffer_printf(text,
                  "type=%s queue=%s start=%" PRId64 " execution_timeout=%" PRId64
                  " run_timeout=%" PRId64 " task_timeout=%" PRId64 " delay=%" PRId64 "\n",
                  run->workflow_type, run->task_queue, run->start_us, run->execution_timeout_us,
                  run->run_timeout_us, run->task_timeout_us, run->start_delay_us);
    buffer_printf(text,
                  "task state=%d attempt=%d sticky=%d scheduled_id=%" PRId64 " started_id=%" PRId64
                  " scheduled=%" PRId64 " started=%" PRId64 " timeout=%" PRId64 " identity=%s\n",
                  task->state, task->attempt, task->sticky, task->scheduled_event_id,
                  task->started_event_id, task->scheduled_us, task->started_us,
                  task->start_to_close_us, text_or_empty(task->identity));
    buffer_printf(text, "completed_started_id=%" PRId64 " sticky_queue=%s sticky_us=%" PRId64 "\n",
                  run->completed_started_id, text_or_empty(run->sticky_queue),
                  run->sticky_schedule_to_start_us);
    buffer_printf(text, "signals=%" PRId64 " cancel=%d cancel_request=%s\n", run->signal_count,
                  run->cancel_requested, text_or_empty(run->cancel_request_id));
    dump_signal_ids(run, text);
    struct activity *activity;
    buffer_printf(text, "activities=%zu\n", run->activity_count);
    DL_FOREACH (run->activities, activity)
        dump_activity(activity, text);
    struct timer *timer;
    DL_FOREACH (run->timers, timer)
        buffer_printf(text, "timer %" PRId64 " id=%s fire=%" PRId64 "\n", timer->started_event_id,
                      timer->timer_id, timer->fire_us);
    dump_history("event", &run->history, text);
    dump_history("buffered", &run->buffered, text);
}
