/* SPDX-License-Identifier: Apache-2.0 */
/* worker: see worker.h and include/argosy/worker.h. Here: its life, its loop, its drain. */
#include "sdk/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "sdk/error.h"

/* 256 tasks in hand hide the way to the engine and back; 1,000 runs are the core SDKs' cache. */
#define WORKFLOW_SLOTS_DEFAULT 256
#define CACHED_RUNS_DEFAULT    1000
/* Stacks of ended runs kept for new ones: those a burst of closings leaves behind. */
#define STACKS_KEPT 256

#define TURN_INTERVAL_NS (NS_PER_S / 4)
/* An idle loop turns this often, to prove that it lives. */
#define IDLE_TURN_NS NS_PER_S
/* Without an engine: said after the first, then again after each of the second. */
#define PATIENCE_NS  (3 * NS_PER_S)
#define COMPLAINT_NS (60 * NS_PER_S)
/* After the grace: how long receipts of what was handed back are waited for. */
#define RELEASE_WAIT_NS (2 * NS_PER_S)

static const struct state_row worker_rows[] = {
    [WORKER_IDLE] = {"idle", STATE_BIT(WORKER_SERVING) | STATE_BIT(WORKER_STOPPED)},
    [WORKER_SERVING] = {"serving", STATE_BIT(WORKER_DRAINING) | STATE_BIT(WORKER_STOPPED)},
    [WORKER_DRAINING] = {"draining", STATE_BIT(WORKER_RELEASING) | STATE_BIT(WORKER_STOPPED)},
    [WORKER_RELEASING] = {"releasing", STATE_BIT(WORKER_STOPPED)},
    [WORKER_STOPPED] = {"stopped", 0},
};

/* ---- saying things ---- */

static void on_record(void *context, const struct argosy_log_record *record)
{
    const struct argosy_worker *worker = context;
    bool is_code = record->level == ARGOSY_LOG_INFO;
    if (worker->callbacks.on_log != NULL)
        worker->callbacks.on_log(worker->callbacks.user_data, record);
    else
        log_write_run(is_code ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                      is_code ? "workflow.logged" : "worker.reported", record->workflow_type,
                      record->workflow_id, record->run_id, record->text);
}

void worker_log(struct argosy_worker *worker, const char *format, ...)
{
    char text[2 * ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    on_record(worker, &(struct argosy_log_record){.level = ARGOSY_LOG_WARN, .text = text});
}

void worker_log_run(struct argosy_worker *worker, const struct worker_run_name *run,
                    const char *what, const struct error *reason)
{
    char text[2 * ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s: %s", what, reason->text);
    on_record(worker, &(struct argosy_log_record){.level = ARGOSY_LOG_WARN,
                                                  .text = text,
                                                  .workflow_type = run->workflow_type,
                                                  .workflow_id = run->workflow_id,
                                                  .run_id = run->run_id});
}

static void wake(void *context)
{
    const struct argosy_worker *worker = context;
    int saved_errno = errno; /* for signal handlers */
    uint64_t one = 1;
    ssize_t written = write(worker->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes too */
    errno = saved_errno;
}

/* ---- creating ---- */

static int check_options(const struct argosy_worker_options *options,
                         const struct argosy_registry *registry, struct error *err)
{
    if (options->queue_count == 0)
        return error_set(err, ERR_INVALID, "a worker needs a task queue");
    if (options->workflow_slots < 0 || options->cached_runs < 0)
        return error_set(err, ERR_INVALID, "a number of the worker's options is negative");
    for (size_t i = 0; i < options->queue_count; i++) {
        const struct argosy_worker_queue *queue = &options->queues[i];
        if (queue->name == NULL || queue->name[0] == '\0' || strlen(queue->name) > LIMIT_ID_LENGTH)
            return error_set(err, ERR_INVALID, "task queue %zu has no usable name", i + 1);
        if (queue->slots < 0)
            return error_set(err, ERR_INVALID, "task queue \"%s\" has %d slots", queue->name,
                             queue->slots);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(queue->name, options->queues[j].name) == 0)
                return error_set(err, ERR_INVALID, "task queue \"%s\" is named twice", queue->name);
        }
    }
    bool has_workflows = !options->without_workflows && registry_workflow_count(registry) > 0;
    bool has_activities = !options->without_activities && registry_activity_count(registry) > 0;
    if (!has_workflows && !has_activities)
        return error_set(err, ERR_INVALID,
                         "there is nothing to serve: no workflow and no activity "
                         "is registered and wanted");
    return 0;
}

static int default_slots(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (int)cores;
}

static bool add_poll(struct argosy_worker *worker, enum poll_kind kind, const char *queue,
                     int slots)
{
    struct worker_poll *poll = &worker->polls[worker->poll_count++];
    *poll = (struct worker_poll){.worker = worker, .kind = kind, .slots = slots};
    poll->own_slots = slots;
    poll->queue = queue == NULL ? NULL : arena_strdup(&worker->arena, queue);
    return poll->queue != NULL;
}

static int make_polls(struct argosy_worker *worker, const struct argosy_worker_options *options,
                      struct error *err)
{
    struct arena *arena = &worker->arena;
    if (!options->without_workflows)
        worker->workflow_type_count = registry_workflow_count(worker->registry);
    if (!options->without_activities)
        worker->activity_type_count = registry_activity_count(worker->registry);
    worker->polls = arena_calloc(arena, 2 * options->queue_count + 1, sizeof *worker->polls);
    worker->workflow_types = arena_calloc(arena, worker->workflow_type_count, sizeof(char *));
    worker->activity_types = arena_calloc(arena, worker->activity_type_count, sizeof(char *));
    if (worker->polls == NULL || worker->workflow_types == NULL || worker->activity_types == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (worker->workflow_type_count > 0)
        registry_workflow_types(worker->registry, worker->workflow_types);
    if (worker->activity_type_count > 0)
        registry_activity_types(worker->registry, worker->activity_types);
    int workflow_slots =
        options->workflow_slots == 0 ? WORKFLOW_SLOTS_DEFAULT : options->workflow_slots;
    bool fits = true;
    for (size_t i = 0; i < options->queue_count && fits; i++) {
        const struct argosy_worker_queue *queue = &options->queues[i];
        if (worker->workflow_type_count > 0)
            fits = add_poll(worker, POLL_WORKFLOW, queue->name, workflow_slots);
        if (fits && worker->activity_type_count > 0)
            fits = add_poll(worker, POLL_ACTIVITY, queue->name,
                            queue->slots == 0 ? default_slots() : queue->slots);
    }
    if (fits && worker->workflow_type_count > 0)
        fits = add_poll(worker, POLL_STICKY, worker->sticky_queue, workflow_slots);
    return fits ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

static int make_runner(struct argosy_worker *worker, const struct argosy_worker_options *options,
                       struct error *err)
{
    worker->sticky_queue = arena_printf(&worker->arena, "sticky-%s", worker->instance_id);
    size_t cached = options->cached_runs == 0 ? CACHED_RUNS_DEFAULT : (size_t)options->cached_runs;
    worker->runner = (struct workflow_runner){
        .config = {.registry = worker->registry,
                   .pool = coroutine_pool_create(ARGOSY_WORKFLOW_STACK_SIZE, STACKS_KEPT),
                   .name_space = worker->options.name_space,
                   .on_log = on_record,
                   .log_context = worker},
        .cache = {.capacity = cached},
        .identity = worker->options.identity,
        .codecs = worker->options.codecs,
        .sticky_queue = worker->sticky_queue,
    };
    if (worker->runner.config.pool == NULL || worker->runner.sticky_queue == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static int make_descriptors(struct argosy_worker *worker, struct error *err)
{
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->wake_fd < 0 || worker->epoll_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not make the worker's descriptors");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = worker->wake_fd};
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) < 0)
        return error_set_errno(err, ERR_IO, errno, "could not watch the worker's descriptors");
    if (worker->callbacks.on_watch == NULL)
        return 0;
    event.data.fd = worker->callbacks.watch_fd;
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return error_set_errno(err, ERR_INVALID, errno, "cannot watch descriptor %d",
                               event.data.fd);
    return 0;
}

int worker_slots_wanted(const struct worker_poll *poll)
{
    return poll->told_slots > 0 ? poll->told_slots : poll->own_slots;
}

/* The most threads that the polls' slots can keep busy; none for asynchronous activities alone. */
static int grow_pool(struct argosy_worker *worker, struct error *err)
{
    size_t slots = 0;
    for (size_t i = 0; i < worker->poll_count; i++) {
        if (worker->polls[i].kind == POLL_ACTIVITY)
            slots += (size_t)worker_slots_wanted(&worker->polls[i]);
    }
    if (!registry_has_sync_activity(worker->registry))
        return 0;
    return activity_pool_grow(&worker->pool, slots, err);
}

static int make_parts(struct argosy_worker *worker, const struct argosy_worker_options *options,
                      struct error *err)
{
    int code = connect_resolve(&options->connection, &worker->arena, &worker->options, err);
    if (code < 0)
        return code;
    char uuid[UUID_TEXT_SIZE];
    uuid_create(uuid);
    worker->instance_id = worker->options.instance_id;
    if (worker->instance_id == NULL)
        worker->instance_id = worker->options.instance_id = arena_strdup(&worker->arena, uuid);
    if (worker->instance_id == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    code = make_runner(worker, options, err);
    if (code == 0)
        code = make_polls(worker, options, err);
    if (code == 0)
        code = make_descriptors(worker, err);
    if (code == 0)
        code = grow_pool(worker, err);
    worker->host->name_space = worker->options.name_space;
    worker->host->identity = worker->options.identity;
    worker->host->codecs = worker->options.codecs;
    worker->host->on_wake = wake;
    worker->host->on_log = on_record;
    worker->host->context = worker;
    return code;
}

int argosy_worker_create(const struct argosy_worker_options *options,
                         const struct argosy_registry *registry, struct argosy_worker **ret_worker,
                         struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    int code = check_options(options, registry, inner);
    if (code < 0)
        return code;
    struct argosy_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return error_set(inner, ERR_MEMORY, "out of memory");
    worker->callbacks = *options;
    worker->registry = registry;
    worker->machine = (struct state_machine){worker_rows, WORKER_IDLE};
    worker->wake_fd = -1;
    worker->epoll_fd = -1;
    arena_init(&worker->arena, ARENA_NO_LIMIT);
    arena_init(&worker->task_arena, ARENA_NO_LIMIT);
    atomic_init(&worker->is_stopping, false);
    atomic_init(&worker->grace_ms, INT64_MAX);
    pthread_mutex_init(&worker->mutex, NULL);
    code = activity_host_create(&worker->host, inner);
    if (code == 0)
        code = activity_pool_init(&worker->pool, inner);
    if (code == 0)
        code = make_parts(worker, options, inner);
    if (code < 0) {
        argosy_worker_destroy(worker);
        return code;
    }
    *ret_worker = worker;
    return 0;
}

void argosy_worker_destroy(struct argosy_worker *worker)
{
    if (worker == NULL)
        return;
    activity_pool_fini(&worker->pool);
    activity_host_unref(worker->host);
    run_cache_fini(&worker->runner.cache);
    coroutine_pool_destroy(worker->runner.config.pool);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    if (worker->epoll_fd >= 0)
        close(worker->epoll_fd);
    pthread_mutex_destroy(&worker->mutex);
    arena_fini(&worker->task_arena);
    arena_fini(&worker->arena);
    free(worker);
}

/* ---- slots that the engine tells ---- */

int worker_slots_told(struct worker_poll *poll, int slots, struct error *err)
{
    struct argosy_worker *worker = poll->worker;
    pthread_mutex_lock(&worker->mutex);
    poll->told_slots = slots;
    int code = grow_pool(worker, err);
    pthread_mutex_unlock(&worker->mutex);
    return code;
}

/* What an engine told ends with it; the next one tells what it has kept. */
static void forget_told_slots(struct argosy_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    for (size_t i = 0; i < worker->poll_count; i++)
        worker->polls[i].told_slots = 0;
    pthread_mutex_unlock(&worker->mutex);
}

/* ---- sessions ---- */

static void on_hello(void *context, struct arena *arena, Api__HelloRequest *hello)
{
    struct argosy_worker *worker = context;
    worker_task_tokens(worker, arena, hello);
    activity_host_tokens(worker->host, arena, hello);
}

static void on_session(void *context, const Api__HelloResponse *hello, bool engine_changed)
{
    struct argosy_worker *worker = context;
    worker->has_session = true;
    if (engine_changed)
        forget_told_slots(worker);
    activity_host_lose(worker->host, hello->n_lost_task_tokens, hello->lost_task_tokens);
    if (worker->machine.state != WORKER_SERVING)
        return;
    worker_poll_all(worker);
}

/* After a turn, which sends what was submitted in it: the polls are ahead of whatever somebody asks
 * the engine who heard that the worker is ready. */
static void tell_ready(struct argosy_worker *worker)
{
    if (worker->was_ready || !worker->has_session || worker->machine.state != WORKER_SERVING)
        return;
    worker->was_ready = true;
    if (worker->callbacks.on_ready != NULL)
        worker->callbacks.on_ready(worker->callbacks.user_data);
}

static void on_session_lost(void *context, const char *reason)
{
    struct argosy_worker *worker = context;
    worker->has_session = false;
    worker->complaint_ns = clock_monotonic_ns() + PATIENCE_NS;
    if (worker->machine.state == WORKER_SERVING)
        worker_log(worker, "lost the engine: %s", reason);
}

/* A wrong address or key looks like an engine that is away: only the reason tells. */
static void complain(struct argosy_worker *worker, uint64_t now_ns)
{
    struct error reason = {0};
    if (worker->has_session || now_ns < worker->complaint_ns)
        return;
    worker->complaint_ns = now_ns + COMPLAINT_NS;
    if (connection_wait_session(worker->connection, 0, &reason) < 0)
        worker_log(worker, "waiting for the engine: %s", reason.text);
}

/* ---- stopping ---- */

void argosy_worker_stop(struct argosy_worker *worker, int64_t grace_ms)
{
    int64_t wanted = grace_ms < 0 ? 0 : grace_ms;
    int64_t grace = atomic_load(&worker->grace_ms);
    while (wanted < grace && !atomic_compare_exchange_weak(&worker->grace_ms, &grace, wanted))
        ;
    atomic_store(&worker->is_stopping, true);
    wake(worker);
}

int argosy_worker_set_slots(struct argosy_worker *worker, const char *queue, int slots,
                            struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    if (slots < 1)
        return error_set(inner, ERR_INVALID, "a queue needs at least one slot");
    int code = error_set(inner, ERR_NOT_FOUND, "activities of \"%s\" are not served here", queue);
    pthread_mutex_lock(&worker->mutex);
    for (size_t i = 0; i < worker->poll_count; i++) {
        struct worker_poll *poll = &worker->polls[i];
        if (poll->kind == POLL_ACTIVITY && strcmp(poll->queue, queue) == 0) {
            poll->own_slots = slots;
            code = grow_pool(worker, inner);
        }
    }
    pthread_mutex_unlock(&worker->mutex);
    wake(worker);
    return code;
}

static void on_shutdown_told(void *context, const struct connection_reply *reply)
{
    (void)context, (void)reply;
}

/* Runs that stuck to this process are for any worker now. */
static void tell_shutdown(struct argosy_worker *worker)
{
    if (worker->workflow_type_count == 0)
        return;
    Api__ShutdownWorkerRequest message = API__SHUTDOWN_WORKER_REQUEST__INIT;
    message.namespace_ = worker->options.name_space;
    message.sticky_task_queue = worker->sticky_queue;
    message.identity = worker->options.identity;
    message.reason = "drained";
    message.worker_instance_key = worker->instance_id;
    struct connection_request request = {
        .message = &message.base,
        .method = METHOD_SHUTDOWN_WORKER,
        .timeout_ms = RELEASE_WAIT_NS / NS_PER_MS,
        .on_reply = on_shutdown_told,
    };
    connection_submit(worker->connection, &request, NULL, NULL);
}

/* The end of the grace from now; a later, shorter grace moves it. */
static uint64_t grace_end_ns(const struct argosy_worker *worker, uint64_t now_ns)
{
    uint64_t grace_ms = (uint64_t)atomic_load(&worker->grace_ms);
    return grace_ms > (UINT64_MAX - now_ns) / NS_PER_MS ? UINT64_MAX
                                                        : now_ns + grace_ms * NS_PER_MS;
}

static void begin_drain(struct argosy_worker *worker, uint64_t now_ns)
{
    state_move(&worker->machine, WORKER_DRAINING);
    worker->deadline_ns = grace_end_ns(worker, now_ns);
    atomic_store(&worker->host->is_draining, true);
    worker->runner.sticky_queue = NULL; /* the next tasks of what runs here are anybody's */
    worker_poll_cancel(worker);
    activity_pool_release(&worker->pool);
}

static void drain_turn(struct argosy_worker *worker, uint64_t now_ns)
{
    if (worker->machine.state == WORKER_SERVING && atomic_load(&worker->is_stopping))
        begin_drain(worker, now_ns);
    if (worker->machine.state == WORKER_DRAINING) {
        uint64_t end_ns = grace_end_ns(worker, now_ns);
        if (end_ns < worker->deadline_ns)
            worker->deadline_ns = end_ns;
        if (now_ns >= worker->deadline_ns) {
            state_move(&worker->machine, WORKER_RELEASING);
            worker->deadline_ns = now_ns + RELEASE_WAIT_NS;
            activity_host_release_all(worker->host);
        }
    }
    bool is_leaving =
        worker->machine.state == WORKER_DRAINING || worker->machine.state == WORKER_RELEASING;
    /* A poll that is still open may have tasks on their way here: ending now would lose them. */
    bool is_clean = activity_host_held(worker->host) == 0 && !worker_task_is_any(worker) &&
                    !(worker->has_session && worker_poll_is_open(worker));
    if (is_leaving && (is_clean || (worker->machine.state == WORKER_RELEASING &&
                                    now_ns >= worker->deadline_ns))) {
        tell_shutdown(worker);
        state_move(&worker->machine, WORKER_STOPPED);
    }
}

/* ---- the loop ---- */

static void drain_descriptors(struct argosy_worker *worker)
{
    struct epoll_event events[2];
    int count = epoll_wait(worker->epoll_fd, events, 2, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == worker->wake_fd) {
            uint64_t value;
            ssize_t got = read(worker->wake_fd, &value, sizeof value);
            (void)got;
        } else {
            worker->callbacks.on_watch(worker->callbacks.user_data);
        }
    }
}

static void tell_turn(struct argosy_worker *worker, uint64_t now_ns)
{
    if (worker->callbacks.on_turn == NULL || now_ns - worker->turn_ns < TURN_INTERVAL_NS)
        return;
    worker->turn_ns = now_ns;
    worker->callbacks.on_turn(worker->callbacks.user_data);
}

/* Milliseconds until the earliest of what waits for time, rounded up. */
static int timeout_ms(const struct argosy_worker *worker, uint64_t now_ns, uint64_t heartbeat_ns,
                      uint64_t poll_ns)
{
    uint64_t next_ns = heartbeat_ns < poll_ns ? heartbeat_ns : poll_ns;
    if (worker->machine.state != WORKER_SERVING && worker->deadline_ns < next_ns)
        next_ns = worker->deadline_ns;
    if (next_ns <= now_ns)
        return 0;
    uint64_t wait_ns = next_ns - now_ns < IDLE_TURN_NS ? next_ns - now_ns : IDLE_TURN_NS;
    return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static int loop(struct argosy_worker *worker, struct error *err)
{
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        drain_turn(worker, now_ns);
        if (worker->machine.state == WORKER_STOPPED)
            return 0;
        complain(worker, now_ns);
        uint64_t heartbeat_ns = activity_host_turn(worker->host, now_ns);
        uint64_t poll_ns = UINT64_MAX;
        if (worker->machine.state == WORKER_SERVING)
            poll_ns = worker_poll_turn(worker, now_ns);
        bool is_ready = false;
        int code =
            connection_run(worker->connection, timeout_ms(worker, now_ns, heartbeat_ns, poll_ns),
                           worker->epoll_fd, &is_ready, err);
        if (code == 0 && worker->fatal.code < 0) {
            code = worker->fatal.code;
            if (err != NULL)
                *err = worker->fatal;
        }
        if (code < 0)
            return code;
        tell_ready(worker);
        if (is_ready)
            drain_descriptors(worker);
        tell_turn(worker, clock_monotonic_ns());
    }
}

int argosy_worker_run(struct argosy_worker *worker, struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    if (worker->machine.state != WORKER_IDLE)
        return error_set(inner, ERR_STATE, "a worker runs once");
    struct connection_config config = connect_config(&worker->options);
    config.context = worker;
    config.on_hello = on_hello;
    config.on_session = on_session;
    config.on_session_lost = on_session_lost;
    int code = connection_open(&config, &worker->connection, inner);
    if (code < 0)
        return code;
    worker->host->connection = worker->connection;
    worker->complaint_ns = clock_monotonic_ns() + PATIENCE_NS;
    state_move(&worker->machine, WORKER_SERVING);
    code = loop(worker, inner);
    if (worker->machine.state != WORKER_STOPPED)
        state_move(&worker->machine, WORKER_STOPPED);
    activity_host_abandon(worker->host);
    connection_close(worker->connection);
    worker->connection = NULL;
    return code;
}
