/* SPDX-License-Identifier: Apache-2.0 */
/* server: see server.h. */
#include "storage/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/buffer.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "queues/envelope.h"

/* Numbers of methods that a handler may have. */
#define METHOD_MAX 512

/* A request on its way through a thread. */
struct job {
    /* identity */
    uint64_t session;
    uint64_t correlation_id;
    uint64_t deadline_ns;
    const struct method_row *method;
    /* state */
    uint8_t *body;
    size_t body_size;
    struct buffer reply; /* encoded, where failure.code is 0 */
    struct error failure;
    /* links */
    struct job *prev, *next;
};

/* What a method leads to. */
struct route {
    storage_handler_fn *handle; /* NULL: no service answers it */
    void *context;
};

struct storage_server {
    /* configuration */
    int stop_fd;
    void (*on_turn)(void *context);
    void *context;
    char instance_id[UUID_TEXT_SIZE];
    struct route routes[METHOD_MAX];

    /* parts */
    struct endpoint *endpoint;
    int wake_fd; /* an epoll descriptor: stop_fd or done_fd */
    int done_fd; /* an eventfd: jobs are done */
    pthread_t threads[STORAGE_THREADS];
    size_t thread_count;

    /* shared with the threads */
    pthread_mutex_t mutex;
    pthread_cond_t has_job;
    struct job *waiting;
    struct job *done;
    bool is_closing;

    /* the loop's */
    size_t job_count;    /* taken and not yet answered */
    size_t queued_bytes; /* their bodies */
};

/* ---- the threads ---- */

static void job_free(struct job *job)
{
    free(job->body);
    buffer_fini(&job->reply);
    free(job);
}

static int job_answer(const struct route *route, struct job *job, struct arena *arena,
                      struct error *err)
{
    if (clock_monotonic_ns() >= job->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "the request waited longer than its caller");
    ProtobufCMessage *message;
    int code = codec_decode(job->method->request, job->body, job->body_size, arena, &message, err);
    if (code != 0)
        return code;
    struct storage_request request = {
        .message = message, .arena = arena, .deadline_ns = job->deadline_ns};
    ProtobufCMessage *response = NULL;
    code = route->handle(route->context, &request, &response, err);
    if (code != 0)
        return code;
    ASSERT(response->descriptor == job->method->response);
    return codec_encode(response, &job->reply, err);
}

static void job_run(const struct storage_server *server, struct job *job, struct arena *arena)
{
    arena_reset(arena);
    int code = job_answer(&server->routes[job->method->method], job, arena, &job->failure);
    /* A handler's failure without a text would be none for the caller. */
    if (code != 0 && job->failure.code == 0)
        error_set(&job->failure, code, "%s", error_text(code));
}

static struct job *job_take(struct storage_server *server)
{
    pthread_mutex_lock(&server->mutex);
    while (server->waiting == NULL && !server->is_closing)
        pthread_cond_wait(&server->has_job, &server->mutex);
    struct job *job = server->is_closing ? NULL : server->waiting;
    if (job != NULL)
        DL_DELETE(server->waiting, job);
    pthread_mutex_unlock(&server->mutex);
    return job;
}

static void *thread_main(void *argument)
{
    struct storage_server *server = argument;
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    for (struct job *job = job_take(server); job != NULL; job = job_take(server)) {
        job_run(server, job, &arena);
        pthread_mutex_lock(&server->mutex);
        DL_APPEND(server->done, job);
        pthread_mutex_unlock(&server->mutex);
        eventfd_write(server->done_fd, 1);
    }
    arena_fini(&arena);
    return NULL;
}

/* ---- the loop ---- */

static void answer_hello(struct storage_server *server, const struct endpoint_event *event)
{
    Api__HelloResponse hello = API__HELLO_RESPONSE__INIT;
    hello.has_protocol_version = true;
    hello.protocol_version = WIRE_VERSION;
    hello.engine_instance_id = server->instance_id;
    hello.has_lease_ms = true;
    hello.lease_ms = endpoint_lease_ms(server->endpoint);
    struct error reason;
    if (endpoint_reply(server->endpoint, event->session, event->correlation_id, false, &hello.base,
                       &reason) != 0)
        endpoint_reply_error(server->endpoint, event->session, event->correlation_id, &reason,
                             NULL);
}

static void refuse(struct storage_server *server, const struct endpoint_event *event, int code,
                   const char *text)
{
    struct error reason;
    error_set(&reason, code, "%s: %s", event->method->name, text);
    endpoint_reply_error(server->endpoint, event->session, event->correlation_id, &reason, NULL);
}

static void queue_job(struct storage_server *server, const struct endpoint_event *event)
{
    struct job *job = calloc(1, sizeof *job);
    uint8_t *body = malloc(event->body_size + 1);
    if (job == NULL || body == NULL) {
        free(job);
        free(body);
        refuse(server, event, ERR_MEMORY, "out of memory");
        return;
    }
    memcpy(body, event->body, event->body_size);
    *job = (struct job){.session = event->session,
                        .correlation_id = event->correlation_id,
                        .deadline_ns = event->deadline_ns,
                        .method = event->method,
                        .body = body,
                        .body_size = event->body_size};
    server->job_count++;
    server->queued_bytes += job->body_size;
    pthread_mutex_lock(&server->mutex);
    DL_APPEND(server->waiting, job);
    pthread_cond_signal(&server->has_job);
    pthread_mutex_unlock(&server->mutex);
}

static void take_event(struct storage_server *server, const struct endpoint_event *event)
{
    if (event->kind != ENDPOINT_REQUEST)
        return; /* a reply to a lost session goes nowhere; there is nothing else of it here */
    if (event->method->method == METHOD_HELLO)
        answer_hello(server, event);
    else if (server->routes[event->method->method].handle == NULL)
        refuse(server, event, ERR_UNSUPPORTED, "the storage process has no such method");
    else
        queue_job(server, event);
}

static void reply_to(struct storage_server *server, struct job *job)
{
    int code = job->failure.code;
    if (code == 0)
        code = endpoint_reply_bytes(server->endpoint, job->session, job->correlation_id, false,
                                    job->reply.data, job->reply.size, &job->failure);
    if (code != 0)
        endpoint_reply_error(server->endpoint, job->session, job->correlation_id, &job->failure,
                             NULL);
}

/* Answers what the threads have done. */
static void take_done(struct storage_server *server)
{
    eventfd_t count;
    eventfd_read(server->done_fd, &count);
    pthread_mutex_lock(&server->mutex);
    struct job *done = server->done;
    server->done = NULL;
    pthread_mutex_unlock(&server->mutex);
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE (done, job, next) {
        reply_to(server, job);
        server->job_count--;
        server->queued_bytes -= job->body_size;
        job_free(job);
    }
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* Waits for what there is to do next and does it. */
static int turn_once(struct storage_server *server, struct error *err)
{
    int code = 0;
    if (server->queued_bytes >= STORAGE_QUEUED_BYTES_MAX) {
        is_readable(server->done_fd, CHILD_IDLE_TURN_MS);
    } else {
        struct endpoint_batch batch;
        code = endpoint_wait(server->endpoint, CHILD_IDLE_TURN_MS, server->wake_fd, &batch, err);
        for (size_t i = 0; code == 0 && i < batch.count; i++)
            take_event(server, &batch.events[i]);
    }
    take_done(server);
    endpoint_flush(server->endpoint);
    if (server->on_turn != NULL)
        server->on_turn(server->context);
    return code;
}

/* The threads finish what was taken; nothing new is. */
static void drain(struct storage_server *server)
{
    while (server->job_count > 0) {
        is_readable(server->done_fd, CHILD_IDLE_TURN_MS);
        take_done(server);
        endpoint_flush(server->endpoint);
        if (server->on_turn != NULL)
            server->on_turn(server->context);
    }
}

int storage_server_run(struct storage_server *server, struct error *err)
{
    int code = 0;
    while (code == 0 && !is_readable(server->stop_fd, 0))
        code = turn_once(server, err);
    if (code == 0)
        drain(server);
    return code;
}

/* ---- opening and closing ---- */

static void add_routes(struct storage_server *server, const struct storage_server_config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct storage_service *service = &config->services[i];
        for (size_t j = 0; j < service->handler_count; j++) {
            const struct storage_handler *handler = &service->handlers[j];
            ASSERT(handler->method < METHOD_MAX);
            struct route *route = &server->routes[handler->method];
            ASSERT(route->handle == NULL);
            *route = (struct route){handler->handle, service->context};
        }
    }
}

static int watch(const struct storage_server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(server->wake_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_wake_fd(struct storage_server *server, struct error *err)
{
    server->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    server->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake_fd < 0 || server->done_fd < 0 || watch(server, server->stop_fd) != 0 ||
        watch(server, server->done_fd) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not make the server's descriptors");
    return 0;
}

static int start_threads(struct storage_server *server, struct error *err)
{
    for (; server->thread_count < STORAGE_THREADS; server->thread_count++) {
        int errnum =
            pthread_create(&server->threads[server->thread_count], NULL, thread_main, server);
        if (errnum != 0)
            return error_set_errno(err, ERR_MEMORY, errnum, "could not start a thread");
    }
    return 0;
}

int storage_server_open(const struct storage_server_config *config,
                        struct storage_server **ret_server, struct error *err)
{
    struct storage_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a server");
    server->stop_fd = config->stop_fd;
    server->on_turn = config->on_turn;
    server->context = config->context;
    server->wake_fd = -1;
    server->done_fd = -1;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->has_job, NULL);
    uuid_create(server->instance_id);
    add_routes(server, config);
    int code = open_wake_fd(server, err);
    if (code == 0)
        code = endpoint_open(&config->endpoint, &server->endpoint, err);
    if (code == 0)
        code = start_threads(server, err);
    if (code != 0) {
        storage_server_close(server);
        return code;
    }
    *ret_server = server;
    return 0;
}

static void free_jobs(struct job *jobs)
{
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE (jobs, job, next) {
        job_free(job);
    }
}

void storage_server_close(struct storage_server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->mutex);
    server->is_closing = true;
    pthread_cond_broadcast(&server->has_job);
    pthread_mutex_unlock(&server->mutex);
    for (size_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
    free_jobs(server->waiting);
    free_jobs(server->done);
    endpoint_close(server->endpoint);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    if (server->done_fd >= 0)
        close(server->done_fd);
    pthread_cond_destroy(&server->has_job);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

const char *storage_server_address(const struct storage_server *server, size_t index)
{
    return endpoint_address(server->endpoint, index);
}
