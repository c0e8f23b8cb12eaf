/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: see server.h. Two turns alternate: `filling` takes what the core appends, the other one
 * is with the commit thread or empty.
 */
#include "engine/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "engine/core.h"
#include "engine/server_clock.h"
#include "engine/server_commit.h"
#include "engine/server_lookup.h"
#include "engine/server_stats.h"
#include "engine/server_turn.h"
#include "engine/server_visibility.h"
#include "engine/store.h"
#include "queues/envelope.h"

/* A turn that waits for the commit before it takes no more requests at this size: what the disk
 * cannot keep up with waits at the clients, not in memory. */
#define TURN_WRITES_MAX 8192
#define TURN_BYTES_MAX  (64 * LIMIT_MIB)

/* Most answers from the store that one request needs: a start looks at the latest run of its id, a
 * read of a history at one run. */
#define LOOKUPS_MAX 4

/* A run's log as records, and what it decodes to. */
#define LOOKUP_BYTES_MAX (2 * LIMIT_HISTORY_SIZE)

struct server {
    /* configuration */
    int stop_fd;
    int reload_fd; /* -1: none */
    void (*on_reload)(void *context, struct server *server);
    void (*on_turn)(void *context);
    void *context;
    uint64_t commit_hold_ns;
    bool skips_time;
    char instance_id[UUID_TEXT_SIZE];

    /* parts */
    struct store *store;
    struct core *core;
    struct endpoint *endpoint;
    struct server_commit *commit;
    struct server_clock clock;
    int wake_fd; /* an epoll descriptor: stop_fd or the commit thread */

    /* state */
    struct server_turn turns[2];
    struct server_turn *filling;
    struct server_turn *committing; /* NULL: the commit thread is idle */
    uint64_t last_sequence;
    struct server_stats stats;
    size_t answer_count;    /* workflow tasks answered in the filled turn */
    uint64_t hold_until_ns; /* the filled turn is held until then; 0: not held yet */
    struct arena request_arena, lookup_arena;
    uint64_t replaced_session; /* its successor's Hello is the next event; 0: none */
    size_t recovered_runs;
};

/* --- turns -------------------------------------------------------------------------------------
 */

static struct server_turn *other_turn(struct server *server)
{
    return server->filling == &server->turns[0] ? &server->turns[1] : &server->turns[0];
}

/* Starts the turn that is filled next. */
static void begin_filling(struct server *server, struct server_turn *turn)
{
    server->filling = turn;
    server->answer_count = 0;
    server->hold_until_ns = 0;
    server_turn_reset(turn, ++server->last_sequence);
}

/* The filled turn is done with: its replies leave and it starts over. */
static void release_filling(struct server *server)
{
    struct server_turn *turn = server->filling;
    server_turn_send_all(turn, server->endpoint);
    core_durable(server->core, turn->outbox.sequence);
    begin_filling(server, turn);
}

/* Whether the filled turn waits for the answer to the workflow task it has sent. Only while a
 * single run is moving: with more of them there are always requests that share the next commit, and
 * the disk is better kept busy. */
static bool is_held(struct server *server)
{
    const struct server_turn *turn = server->filling;
    if (turn->outbox.write_count != 1 || turn->early_count != 1 || server->answer_count > 0 ||
        server->commit_hold_ns == 0)
        return false;
    uint64_t now_ns = clock_monotonic_ns();
    if (server->hold_until_ns == 0)
        server->hold_until_ns = now_ns + server->commit_hold_ns;
    return now_ns < server->hold_until_ns;
}

/* Moves the filled turn on if the commit thread is free and nothing better is about to come. */
static void submit(struct server *server)
{
    struct server_turn *turn = server->filling;
    if (server->committing != NULL || is_held(server))
        return;
    if (turn->outbox.write_count == 0) {
        if (turn->held_count > 0)
            release_filling(server);
        return;
    }
    server_stats_commit_began(&server->stats, clock_monotonic_ns());
    server_commit_submit(server->commit, turn->outbox.writes, turn->outbox.write_count);
    server->committing = turn;
    begin_filling(server, other_turn(server));
}

/* Looks after the commit under way; when it is durable its replies leave, and those of the filled
 * turn that wait for nothing else. */
static int collect_commit(struct server *server, bool wait, struct error *err)
{
    if (server->committing == NULL)
        return 0;
    int done = server_commit_done(server->commit, wait, err);
    if (done <= 0)
        return done;
    server_stats_commit_done(&server->stats, clock_monotonic_ns());
    server_turn_send_all(server->committing, server->endpoint);
    core_durable(server->core, server->committing->outbox.sequence);
    server->committing = NULL;
    server_turn_send_ready(server->filling, server->endpoint);
    return 0;
}

static bool is_turn_full(const struct server *server)
{
    const struct server_turn *turn = server->filling;
    return server->committing != NULL &&
           (turn->outbox.write_count >= TURN_WRITES_MAX ||
            turn->outbox.arena.used >= TURN_BYTES_MAX || turn->bodies.size >= TURN_BYTES_MAX);
}

static int64_t now_utc_us(struct server *server)
{
    return server_clock_now(&server->clock);
}

/* --- requests ----------------------------------------------------------------------------------
 */

/* What the core cannot know: it is handed no configuration of the transport. */
static void complete_hello(struct server *server)
{
    struct outbox *outbox = &server->filling->outbox;
    for (size_t i = 0; i < outbox->reply_count; i++) {
        struct outbox_reply *reply = &outbox->replies[i];
        if (reply->grpc_status != 0 || reply->body->descriptor != &api__hello_response__descriptor)
            continue;
        Api__HelloResponse *hello = arena_memdup(&outbox->arena, reply->body, sizeof *hello);
        ASSERT(hello != NULL);
        hello->has_protocol_version = true;
        hello->protocol_version = WIRE_VERSION;
        hello->engine_instance_id = server->instance_id;
        hello->has_lease_ms = true;
        hello->lease_ms = endpoint_lease_ms(server->endpoint);
        reply->body = &hello->base;
    }
}

static void complete_stats(struct server *server)
{
    struct outbox *outbox = &server->filling->outbox;
    for (size_t i = 0; i < outbox->reply_count; i++) {
        struct outbox_reply *reply = &outbox->replies[i];
        if (reply->body->descriptor != &api__get_engine_stats_response__descriptor)
            continue;
        Api__GetEngineStatsResponse *stats =
            arena_memdup(&outbox->arena, reply->body, sizeof *stats);
        ASSERT(stats != NULL);
        stats->engine_instance_id = server->instance_id;
        int code = server_stats_fill(&server->stats, stats, &outbox->arena, NULL);
        ASSERT(code == 0); /* an outbox's arena has no limit */
        reply->body = &stats->base;
    }
}

/* Runs one request through the core, with what it needs from the store. */
static int handle_in_core(struct server *server, struct core_request *request, struct error *err)
{
    struct core_lookup lookup;
    struct core_need need;
    arena_reset(&server->lookup_arena);
    for (int lookups = 0;; lookups++) {
        struct core_input input = server_clock_input(&server->clock);
        if (core_handle(server->core, &input, request, &need, &server->filling->outbox) ==
            CORE_HANDLED)
            break;
        ASSERT(lookups < LOOKUPS_MAX);
        int code = server_lookup(server->store, &need, &server->lookup_arena, &lookup, err);
        if (code != 0)
            return code;
        request->lookup = &lookup;
    }
    if (request->method == METHOD_HELLO)
        complete_hello(server);
    else if (request->method == METHOD_GET_ENGINE_STATS)
        complete_stats(server);
    else if (request->method == METHOD_RESPOND_WORKFLOW_TASK_COMPLETED)
        server->answer_count++;
    server_turn_collect(server->filling, server->endpoint);
    return 0;
}

static int handle_visibility(struct server *server, const struct core_request *request,
                             struct error *err)
{
    ProtobufCMessage *reply;
    int code = server_visibility_handle(server->store, request->method, request->body,
                                        &server->request_arena, &reply, err);
    if (code == 0)
        code = endpoint_reply(server->endpoint, request->session, request->correlation, false,
                              reply, err);
    return code;
}

static int64_t deadline_utc_us(struct server *server, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return 0;
    int64_t left_ns = (int64_t)(deadline_ns - clock_monotonic_ns());
    return now_utc_us(server) + left_ns / (int64_t)NS_PER_US;
}

/* A request that cannot be served is answered with the reason, a damaged log too; only a disk that
 * fails is an error of the server. */
static int handle_request(struct server *server, const struct endpoint_event *event,
                          struct error *err)
{
    struct error reason = {0};
    ProtobufCMessage *body;
    arena_reset(&server->request_arena);
    int code = codec_decode(event->method->request, event->body, event->body_size,
                            &server->request_arena, &body, &reason);
    server_stats_request(&server->stats, event->method->method);
    if (code == 0) {
        struct core_request request = {.session = event->session,
                                       .correlation = event->correlation_id,
                                       .deadline_utc_us =
                                           deadline_utc_us(server, event->deadline_ns),
                                       .method = event->method->method,
                                       .body = body};
        code = server_visibility_handles(request.method)
                   ? handle_visibility(server, &request, &reason)
                   : handle_in_core(server, &request, &reason);
    }
    if (code == ERR_STORAGE) {
        *err = reason;
        return code;
    }
    if (code != 0)
        endpoint_reply_error(server->endpoint, event->session, event->correlation_id, &reason,
                             NULL);
    return 0;
}

static void lose_session(struct server *server, uint64_t session, const char *reason)
{
    struct core_input input = server_clock_input(&server->clock);
    core_session_lost(server->core, &input, session, reason, &server->filling->outbox);
    server_turn_collect(server->filling, server->endpoint);
}

/* A replaced session is lost after its successor's Hello, which claims the tasks it still works on.
 */
static int handle_event(struct server *server, const struct endpoint_event *event,
                        struct error *err)
{
    if (event->kind == ENDPOINT_SESSION_LOST) {
        if (event->replaced_by != 0)
            server->replaced_session = event->session;
        else
            lose_session(server, event->session, event->reason);
        return 0;
    }
    int code = handle_request(server, event, err);
    if (server->replaced_session != 0) {
        lose_session(server, server->replaced_session, "replaced");
        server->replaced_session = 0;
    }
    return code;
}

static int handle_batch(struct server *server, const struct endpoint_batch *batch,
                        struct error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < batch->count; i++)
        code = handle_event(server, &batch->events[i], err);
    return code;
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static void tick(struct server *server)
{
    if (core_next_tick_utc_us(server->core) > now_utc_us(server))
        return;
    struct core_input input = server_clock_input(&server->clock);
    core_tick(server->core, &input, &server->filling->outbox);
    server_turn_collect(server->filling, server->endpoint);
}

/* Until the core's next timer or the end of a hold, rounded up so that it is due then; -1: for
 * ever.
 */
static int wait_ms(struct server *server)
{
    int64_t next_us = core_next_tick_utc_us(server->core);
    if (server->hold_until_ns != 0 && server->committing == NULL)
        return 1;
    if (next_us == INT64_MAX)
        return -1;
    int64_t left_us = next_us - now_utc_us(server);
    if (left_us <= 0)
        return 0;
    int64_t left_ms = left_us / US_PER_MS + 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* Whether everything that was taken is done: nothing waits for the disk or to be sent. */
static bool is_quiet(const struct server *server)
{
    return server->committing == NULL && server->filling->outbox.write_count == 0 &&
           server->filling->held_count == server->filling->sent_count;
}

/* How long to wait for what comes; not at all where time could jump instead. */
static int input_wait_ms(struct server *server)
{
    if (server->skips_time && is_quiet(server) && core_skip_utc_us(server->core) != INT64_MAX)
        return 0;
    int wait = wait_ms(server);
    bool is_long = wait < 0 || wait > CHILD_IDLE_TURN_MS;
    return is_long && server->on_turn != NULL ? CHILD_IDLE_TURN_MS : wait;
}

/* Nothing came in: time jumps to where the next thing happens. */
static void skip_time(struct server *server)
{
    if (!server->skips_time || !is_quiet(server))
        return;
    int64_t to_us = core_skip_utc_us(server->core);
    if (to_us != INT64_MAX)
        server_clock_skip(&server->clock, to_us);
}

/* Takes news from outside; whether the server is to stop. */
static bool is_stopped(struct server *server)
{
    struct pollfd poll_fds[2] = {{.fd = server->stop_fd, .events = POLLIN},
                                 {.fd = server->reload_fd, .events = POLLIN}};
    if (poll(poll_fds, 2, 0) <= 0)
        return false;
    if (poll_fds[1].revents != 0)
        server->on_reload(server->context, server);
    return poll_fds[0].revents != 0;
}

/* Waits for what there is to do next and does it. */
static int turn_once(struct server *server, struct error *err)
{
    struct endpoint_batch batch = {0};
    int code;
    if (is_turn_full(server)) {
        code = collect_commit(server, true, err);
    } else {
        code = endpoint_wait(server->endpoint, input_wait_ms(server), server->wake_fd, &batch, err);
        if (code == 0)
            code = handle_batch(server, &batch, err);
        if (code == 0 && batch.count == 0)
            skip_time(server);
        if (code == 0)
            code = collect_commit(server, false, err);
    }
    if (code != 0)
        return code;
    tick(server);
    submit(server);
    endpoint_flush(server->endpoint);
    return 0;
}

/* Commits and answers everything that was taken. */
static int finish(struct server *server, struct error *err)
{
    int code;
    server->commit_hold_ns = 0;
    do {
        code = collect_commit(server, true, err);
        if (code == 0)
            submit(server);
    } while (code == 0 && server->committing != NULL);
    if (code == 0)
        endpoint_flush(server->endpoint);
    return code;
}

void server_reconfigure_queues(struct server *server, const struct core_queue_limit *limits,
                               size_t count)
{
    struct core_input input = server_clock_input(&server->clock);
    core_reconfigure_queues(server->core, &input, limits, count, &server->filling->outbox);
    server_turn_collect(server->filling, server->endpoint);
}

int server_run(struct server *server, struct error *err)
{
    int code = 0;
    while (code == 0 && !is_stopped(server)) {
        code = turn_once(server, err);
        if (server->on_turn != NULL)
            server->on_turn(server->context);
    }
    return code == 0 ? finish(server, err) : code;
}

/* --- opening and closing ------------------------------------------------------------------------
 */

static int recover_run(void *arg, const struct store_run *run, const struct store_blob *records,
                       size_t record_count, struct error *err)
{
    struct server *server = arg;
    server->recovered_runs++;
    return core_recover_run(server->core, run, records, record_count, err);
}

static int recover_setting(void *arg, const char *name, const struct store_blob *value,
                           struct error *err)
{
    struct server *server = arg;
    return core_recover_setting(server->core, name, value, err);
}

static int recover(struct server *server, struct error *err)
{
    int64_t next_run_key;
    int code = store_scan_settings(server->store, recover_setting, server, err);
    if (code == 0)
        code = store_scan_open(server->store, recover_run, server, err);
    if (code == 0)
        code = store_next_run_key(server->store, &next_run_key, err);
    if (code != 0)
        return code;
    struct core_input input = server_clock_input(&server->clock);
    core_recovered(server->core, &input, next_run_key, &server->filling->outbox);
    server_turn_collect(server->filling, server->endpoint);
    return 0;
}

static int watch(struct server *server, int fd, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(server->wake_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not watch a descriptor");
    return 0;
}

static int open_wake_fd(struct server *server, struct error *err)
{
    server->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->wake_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not make an epoll descriptor");
    int code = watch(server, server->stop_fd, err);
    if (code == 0 && server->reload_fd >= 0)
        code = watch(server, server->reload_fd, err);
    return code == 0 ? watch(server, server_commit_fd(server->commit), err) : code;
}

static void create_core(struct server *server, const struct server_config *config)
{
    struct core_config core_config = core_config_default();
    core_config.reclaim_grace_us = config->reclaim_us;
    core_config.skips_time = config->skips_time;
    server->core = core_create(&core_config);
    for (size_t i = 0; i < config->queue_limit_count; i++)
        core_configure_queue(server->core, config->queue_limits[i].queue,
                             config->queue_limits[i].max_in_flight);
    server_clock_init(&server->clock);
    server_turn_init(&server->turns[0]);
    server_turn_init(&server->turns[1]);
    begin_filling(server, &server->turns[0]);
    arena_init(&server->request_arena, LIMIT_DECODED_SIZE);
    arena_init(&server->lookup_arena, LOOKUP_BYTES_MAX);
}

int server_open(const struct server_config *config, struct server **ret_server, struct error *err)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a server");
    server->stop_fd = config->stop_fd;
    server->reload_fd = config->on_reload != NULL ? config->reload_fd : -1;
    server->on_reload = config->on_reload;
    server->on_turn = config->on_turn;
    server->context = config->context;
    server->commit_hold_ns = (uint64_t)config->commit_hold_us * NS_PER_US;
    server->skips_time = config->skips_time;
    server->wake_fd = -1;
    uuid_create(server->instance_id);
    create_core(server, config);
    /* The store's lock comes before the addresses: of two engines the second changes nothing. */
    int code = store_open(config->store_path, &server->store, err);
    if (code == 0)
        code = server_commit_start(server->store, &server->commit, err);
    if (code == 0)
        code = open_wake_fd(server, err);
    if (code == 0)
        code = recover(server, err);
    if (code == 0)
        code = endpoint_open(&config->endpoint, &server->endpoint, err);
    if (code != 0) {
        server_close(server);
        return code;
    }
    *ret_server = server;
    return 0;
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    server_commit_stop(server->commit);
    endpoint_close(server->endpoint);
    core_destroy(server->core);
    store_close(server->store);
    server_turn_fini(&server->turns[0]);
    server_turn_fini(&server->turns[1]);
    arena_fini(&server->request_arena);
    arena_fini(&server->lookup_arena);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    free(server);
}

const char *server_address(const struct server *server, size_t index)
{
    return endpoint_address(server->endpoint, index);
}

size_t server_recovered_runs(const struct server *server)
{
    return server->recovered_runs;
}
