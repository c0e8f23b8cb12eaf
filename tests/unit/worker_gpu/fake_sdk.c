/* SPDX-License-Identifier: Apache-2.0 */
/* fake_sdk: see fake_sdk.h. One lock for everything: tests are small. */
#include "tests/unit/worker_gpu/fake_sdk.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/assert.h"
#include "common/time_unit.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static struct {
    char type[64];
    argosy_async_activity_function *function;
    argosy_activity_function *synchronous;
    void *user_data;
} registered[8];
static size_t registered_count;

/* The failure raised last by this thread: the real one lives in the task's arena. */
struct argosy_failure {
    struct argosy_failure_options options;
    char message[512];
};
static _Thread_local struct argosy_failure raised;

struct argosy_activity *fake_activity_create(const char *type, const char *input)
{
    struct argosy_activity *activity = calloc(1, sizeof *activity);
    ASSERT(activity != NULL);
    activity->info.activity_type = type;
    activity->info.workflow_id = "workflow";
    activity->info.priority = 3;
    activity->input = (struct argosy_payload){
        .encoding = ARGOSY_ENCODING_JSON, .data = input, .size = strlen(input)};
    return activity;
}

void fake_activity_destroy(struct argosy_activity *activity)
{
    free(activity->result);
    free(activity->details);
    while (activity->memory != NULL) {
        void *before = *(void **)activity->memory;
        free(activity->memory);
        activity->memory = before;
    }
    free(activity);
}

struct call {
    struct argosy_activity *activity;
    argosy_activity_function *function;
    void *user_data;
};

/* As the SDK's threads do (sdk/activity.c). */
static void *run_call(void *arg)
{
    struct call call = *(struct call *)arg;
    struct argosy_payload result = {0};
    struct argosy_error err = {0};
    free(arg);
    int code = call.function(call.activity, call.user_data, &result, &err);
    if (code == ARGOSY_ACTIVITY_RELEASED)
        argosy_activity_release(call.activity);
    else if (code == 0)
        argosy_activity_complete(call.activity, &result);
    else if (code == ARGOSY_ERR_CANCELED && argosy_activity_is_canceled(call.activity))
        argosy_activity_cancel(call.activity);
    else
        argosy_activity_fail(call.activity, &err);
    return NULL;
}

static void start_call(struct argosy_activity *activity, argosy_activity_function *function,
                       void *user_data)
{
    pthread_t thread;
    struct call *call = malloc(sizeof *call);
    ASSERT(call != NULL);
    *call = (struct call){activity, function, user_data};
    ASSERT(pthread_create(&thread, NULL, run_call, call) == 0 && pthread_detach(thread) == 0);
}

void fake_start(struct argosy_activity *activity)
{
    for (size_t i = 0; i < registered_count; i++) {
        if (strcmp(registered[i].type, activity->info.activity_type) == 0) {
            if (registered[i].synchronous != NULL)
                start_call(activity, registered[i].synchronous, registered[i].user_data);
            else
                registered[i].function(activity, registered[i].user_data);
            return;
        }
    }
    UNREACHABLE();
}

enum fake_outcome fake_wait(struct argosy_activity *activity)
{
    pthread_mutex_lock(&mutex);
    while (activity->outcome == FAKE_OPEN)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return activity->outcome;
}

bool fake_is_open(struct argosy_activity *activity)
{
    pthread_mutex_lock(&mutex);
    bool is_open = activity->outcome == FAKE_OPEN;
    pthread_mutex_unlock(&mutex);
    return is_open;
}

static char *copy(const void *data, size_t size)
{
    char *text = malloc(size + 1);
    ASSERT(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* With the mutex held: a task is finished exactly once, and nothing is said of it afterwards. */
static void finish(struct argosy_activity *activity, enum fake_outcome outcome)
{
    ASSERT(activity->outcome == FAKE_OPEN);
    activity->outcome = outcome;
    pthread_cond_broadcast(&changed);
}

/* ---- what activities.c calls ---- */

static void add(const char *type, argosy_async_activity_function *function,
                argosy_activity_function *synchronous, void *user_data)
{
    size_t i = 0;
    while (i < registered_count && strcmp(registered[i].type, type) != 0)
        i++;
    ASSERT(i < sizeof registered / sizeof registered[0]);
    snprintf(registered[i].type, sizeof registered[i].type, "%s", type);
    registered[i].function = function;
    registered[i].synchronous = synchronous;
    registered[i].user_data = user_data;
    registered_count = i == registered_count ? i + 1 : registered_count;
}

int argosy_registry_add_async_activity(struct argosy_registry *registry, const char *type,
                                       argosy_async_activity_function *function, void *user_data,
                                       struct argosy_error *err)
{
    (void)registry;
    (void)err;
    add(type, function, NULL, user_data);
    return 0;
}

int argosy_registry_add_activity(struct argosy_registry *registry, const char *type,
                                 argosy_activity_function *function, void *user_data,
                                 struct argosy_error *err)
{
    (void)registry;
    (void)err;
    add(type, NULL, function, user_data);
    return 0;
}

const struct argosy_activity_info *argosy_activity_info(const struct argosy_activity *activity)
{
    return &activity->info;
}

const struct argosy_payload *argosy_activity_input(const struct argosy_activity *activity)
{
    return &activity->input;
}

struct argosy_payloads argosy_activity_inputs(const struct argosy_activity *activity)
{
    return activity->inputs;
}

const struct argosy_payload *argosy_activity_last_heartbeat(const struct argosy_activity *activity)
{
    return &activity->last_heartbeat;
}

struct argosy_arena *argosy_activity_arena(struct argosy_activity *activity)
{
    return (struct argosy_arena *)activity;
}

void *argosy_arena_alloc(struct argosy_arena *arena, size_t size)
{
    struct argosy_activity *activity = (struct argosy_activity *)arena;
    void **piece = malloc(16 + size);
    ASSERT(piece != NULL);
    *piece = activity->memory;
    activity->memory = piece;
    return (char *)piece + 16;
}

char *argosy_arena_printf(struct argosy_arena *arena, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ASSERT(length >= 0 && (size_t)length < sizeof text);
    return memcpy(argosy_arena_alloc(arena, (size_t)length + 1), text, (size_t)length + 1);
}

bool argosy_payload_is_null(const struct argosy_payload *payload)
{
    return payload->encoding == NULL;
}

bool argosy_activity_is_canceled(const struct argosy_activity *activity)
{
    return atomic_load(&activity->is_canceled);
}

bool argosy_activity_is_draining(const struct argosy_activity *activity)
{
    if (activity->set_by_details != NULL && !atomic_load(activity->set_by_details))
        nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS}, NULL); /* the work */
    return atomic_load(&activity->is_draining);
}

void argosy_activity_heartbeat(struct argosy_activity *activity,
                               const struct argosy_payload *details)
{
    pthread_mutex_lock(&mutex);
    ASSERT(activity->outcome == FAKE_OPEN);
    activity->heartbeats++;
    if (details != NULL) {
        free(activity->details);
        activity->details = copy(details->data, details->size);
        if (activity->set_by_details != NULL)
            atomic_store(activity->set_by_details, true);
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void argosy_activity_complete(struct argosy_activity *activity, const struct argosy_payload *result)
{
    pthread_mutex_lock(&mutex);
    activity->result = copy(result->data, result->size);
    activity->result_size = result->size;
    snprintf(activity->encoding, sizeof activity->encoding, "%s", result->encoding);
    finish(activity, FAKE_COMPLETED);
    pthread_mutex_unlock(&mutex);
}

void argosy_activity_fail(struct argosy_activity *activity, const struct argosy_error *err)
{
    pthread_mutex_lock(&mutex);
    activity->error_code = err->code;
    memcpy(activity->error_text, err->text, sizeof activity->error_text);
    if (err->failure != NULL) {
        ASSERT(err->failure == &raised);
        snprintf(activity->failure_type, sizeof activity->failure_type, "%s", raised.options.type);
        snprintf(activity->error_text, sizeof activity->error_text, "%s", raised.message);
        activity->is_non_retryable = raised.options.non_retryable;
    }
    finish(activity, FAKE_FAILED);
    pthread_mutex_unlock(&mutex);
}

void argosy_activity_cancel(struct argosy_activity *activity)
{
    pthread_mutex_lock(&mutex);
    finish(activity, FAKE_CANCELED);
    pthread_mutex_unlock(&mutex);
}

void argosy_activity_release(struct argosy_activity *activity)
{
    pthread_mutex_lock(&mutex);
    finish(activity, FAKE_RELEASED);
    pthread_mutex_unlock(&mutex);
}

int argosy_failure_raise(struct argosy_arena *arena, const struct argosy_failure_options *options,
                         struct argosy_error *err)
{
    (void)arena;
    raised.options = *options;
    snprintf(raised.message, sizeof raised.message, "%s", options->message);
    err->code = ARGOSY_ERR_FAILED;
    err->failure = &raised;
    return ARGOSY_ERR_FAILED;
}

int argosy_error_set(struct argosy_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = code;
    err->failure = NULL;
    return code;
}
