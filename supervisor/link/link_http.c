/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_http: see link_http.h. A request that needs the engine's figures is suspended and resumed
 * when they are known; libmicrohttpd then calls handle again for the same connection.
 */
#include "supervisor/link/link_http.h"

#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "supervisor/link/metrics.h"
#include "supervisor/link/node_status.h"
#include "supervisor/link/probe.h"
#include "supervisor/link/scale.h"

/* A request's line and headers. */
#define REQUEST_SIZE_MAX (8 * LIMIT_KIB)

struct request {
    struct MHD_Connection *connection;
    bool is_waiting; /* suspended, in the list */
    bool has_waited; /* the figures are as fresh as they get */
    struct request *prev, *next;
};

struct link_http {
    struct link_http_config config;
    struct MHD_Daemon *daemon;
    struct request *waiting;
};

/* What a path answers with. */
struct answer {
    unsigned status;
    const char *content_type;
    struct buffer body;
};

static const char text_type[] = "text/plain; charset=utf-8";

typedef void page_fn(struct link_http *http, struct MHD_Connection *connection,
                     struct answer *answer);

struct route {
    const char *path;
    page_fn *page;
    bool needs_engine;
};

/* Pages */

static struct probe_view look(struct link_http *http)
{
    struct probe_view view = {.now_ns = clock_monotonic_ns()};
    view.is_torn = status_read(http->config.status, &view.status, NULL) != 0;
    view.engine_reason = http->config.engine_reason(http->config.context);
    return view;
}

static void probe(struct link_http *http, struct answer *answer,
                  bool (*check)(const struct probe_view *view, struct buffer *out))
{
    struct probe_view view = look(http);
    answer->content_type = text_type;
    answer->status = check(&view, &answer->body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void page_live(struct link_http *http, struct MHD_Connection *connection,
                      struct answer *answer)
{
    (void)connection;
    probe(http, answer, probe_live);
}

static void page_started(struct link_http *http, struct MHD_Connection *connection,
                         struct answer *answer)
{
    (void)connection;
    probe(http, answer, probe_started);
}

static void page_ready(struct link_http *http, struct MHD_Connection *connection,
                       struct answer *answer)
{
    (void)connection;
    probe(http, answer, probe_ready);
}

static void page_metrics(struct link_http *http, struct MHD_Connection *connection,
                         struct answer *answer)
{
    (void)connection;
    struct probe_view seen = look(http);
    const Api__GetEngineStatsResponse *engine = http->config.stats->response;
    struct metrics_view view = {
        .status = seen.status,
        .now_ns = seen.now_ns,
        .now_utc_us = clock_utc_us(),
        .is_engine_up = engine != NULL,
        .engine = http->config.is_engine_here ? engine : NULL,
    };
    answer->content_type = METRICS_CONTENT_TYPE;
    answer->status = MHD_HTTP_OK;
    metrics_print(&view, &answer->body);
}

static void refuse(struct answer *answer, unsigned status, const char *text)
{
    answer->content_type = text_type;
    answer->status = status;
    buffer_printf(&answer->body, "%s\n", text);
}

static void page_scale(struct link_http *http, struct MHD_Connection *connection,
                       struct answer *answer)
{
    const char *queue = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "queue");
    const char *kind = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "kind");
    const Api__GetEngineStatsResponse *engine = http->config.stats->response;
    if (queue == NULL || queue[0] == '\0' || strlen(queue) > LIMIT_ID_LENGTH) {
        refuse(answer, MHD_HTTP_BAD_REQUEST, "which queue? /v1/scale?queue=NAME");
    } else if (kind != NULL && strcmp(kind, "activity") != 0 && strcmp(kind, "workflow") != 0) {
        refuse(answer, MHD_HTTP_BAD_REQUEST, "kind is activity or workflow; without it both count");
    } else if (engine == NULL) {
        /* No number is better than a wrong one: autoscalers know what to do without. */
        refuse(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "the engine does not answer");
    } else if (scale_print(engine, queue, kind, &answer->body)) {
        answer->content_type = "application/json";
        answer->status = MHD_HTTP_OK;
    } else {
        refuse(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "the engine has too many queues to tell");
    }
}

/* The node as JSON into body; what it says of the engine is the link's. */
static int write_fleet(struct link_http *http, const struct probe_view *seen, struct arena *arena,
                       struct buffer *body, struct error *err)
{
    struct node_status_view view = {.status = seen->status,
                                    .node = http->config.node,
                                    .http = http->config.address,
                                    .now_ns = seen->now_ns};
    Api__NodeStatus *message;
    json_t *json;
    int code = node_status_make(&view, arena, &message, err);
    if (code == 0)
        code = message_to_json(&message->base, 0, &json, err);
    if (code != 0)
        return code;
    json_object_set_new(json, "engine",
                        json_pack("{s:b, s:s*}", "connected", seen->engine_reason == NULL, "reason",
                                  seen->engine_reason));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    buffer_printf(body, "%s\n", text);
    free(text);
    return 0;
}

static void page_fleet(struct link_http *http, struct MHD_Connection *connection,
                       struct answer *answer)
{
    (void)connection;
    struct probe_view seen = look(http);
    struct arena arena;
    struct error err = {0};
    if (seen.is_torn) {
        refuse(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
               "the supervisor stopped while it wrote its status");
        return;
    }
    arena_init(&arena, LIMIT_DECODED_SIZE);
    answer->content_type = "application/json";
    answer->status = MHD_HTTP_OK;
    if (write_fleet(http, &seen, &arena, &answer->body, &err) != 0)
        refuse(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, err.text);
    arena_fini(&arena);
}

static const struct route routes[] = {
    {"/livez", page_live, false},    {"/startupz", page_started, false},
    {"/readyz", page_ready, false},  {"/metrics", page_metrics, true},
    {"/v1/scale", page_scale, true}, {"/v1/fleet", page_fleet, false},
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    }
    return NULL;
}

/* Requests */

/* Takes the body over. */
static enum MHD_Result respond(struct MHD_Connection *connection, struct answer *answer)
{
    if (answer->body.failed) {
        buffer_fini(&answer->body);
        return MHD_NO; /* out of memory: the connection is closed */
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.size, answer->body.data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        buffer_fini(&answer->body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (answer->status == MHD_HTTP_CONTENT_TOO_LARGE)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* Whether the request is one of ours; otherwise the answer says why not. */
static bool admit(struct MHD_Connection *connection, const char *method, const char *path,
                  struct answer *answer)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        refuse(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    else if (has_body(connection))
        refuse(answer, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here");
    else if (find_route(path) == NULL)
        refuse(answer, MHD_HTTP_NOT_FOUND,
               "not here: /livez /startupz /readyz /metrics /v1/scale /v1/fleet");
    return answer->status == 0;
}

/* Whether the request has to wait for the engine's figures; then it is suspended. */
static bool wait_for_engine(struct link_http *http, struct request *request,
                            const struct route *route)
{
    if (!route->needs_engine || request->has_waited || link_stats_ask(http->config.stats))
        return false;
    request->is_waiting = true;
    DL_APPEND(http->waiting, request);
    MHD_suspend_connection(request->connection);
    return true;
}

/* libmicrohttpd's call: once when the headers are there, then until an answer is queued. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size;
    struct link_http *http = context;
    struct request *request = *state;
    struct answer answer = {0};
    if (request == NULL) {
        if (!admit(connection, method, path, &answer))
            return respond(connection, &answer);
        request = calloc(1, sizeof *request);
        if (request == NULL)
            return MHD_NO;
        request->connection = connection;
        *state = request;
        return MHD_YES;
    }
    const struct route *route = find_route(path);
    if (wait_for_engine(http, request, route))
        return MHD_YES;
    route->page(http, connection, &answer);
    return respond(connection, &answer);
}

static void complete(void *context, struct MHD_Connection *connection, void **state,
                     enum MHD_RequestTerminationCode reason)
{
    struct link_http *http = context;
    struct request *request = *state;
    (void)connection, (void)reason;
    if (request != NULL && request->is_waiting)
        DL_DELETE(http->waiting, request);
    free(request);
    *state = NULL;
}

void link_http_answer(struct link_http *http)
{
    while (http->waiting != NULL) {
        struct request *request = http->waiting;
        DL_DELETE(http->waiting, request);
        request->is_waiting = false;
        request->has_waited = true;
        MHD_resume_connection(request->connection);
    }
}

/* The loop */

int link_http_open(const struct link_http_config *config, struct link_http **ret_http,
                   struct error *err)
{
    struct link_http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return error_set(err, ERR_MEMORY, "http: out of memory");
    http->config = *config;
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle,
                                    http, MHD_OPTION_LISTEN_SOCKET, config->listen_fd,
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)LINK_HTTP_CONNECTIONS,
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LINK_HTTP_IDLE_S,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_SIZE_MAX,
                                    MHD_OPTION_NOTIFY_COMPLETED, complete, http, MHD_OPTION_END);
    if (http->daemon == NULL) {
        free(http);
        return error_set(err, ERR_IO, "cannot serve http");
    }
    *ret_http = http;
    return 0;
}

void link_http_close(struct link_http *http)
{
    if (http == NULL)
        return;
    link_http_answer(http);
    MHD_stop_daemon(http->daemon);
    free(http);
}

int link_http_fd(const struct link_http *http)
{
    return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int link_http_turn(struct link_http *http)
{
    unsigned long long timeout_ms;
    MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &timeout_ms) != MHD_YES)
        return -1;
    return timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
}
