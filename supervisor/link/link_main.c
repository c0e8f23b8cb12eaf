/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_main: the program argosy-link: speaks to the engine for the supervisor, which itself holds
 * no ZeroMQ (docs/spec/04-supervision.md, section "Link").
 *
 * It receives deaths from the supervisor (link_message.h), tells the engine of each with WorkerLost
 * until the engine has acknowledged it, and passes the acknowledgement on. It serves the node's
 * HTTP (link_http.h) from the supervisor's status page and the engine's figures. It keeps nothing
 * else: a new link starts with what the supervisor sends again. Its own death is no worker's.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/exit_code.h"
#include "common/fleet_config.h"
#include "common/http_address.h"
#include "common/limits.h"
#include "common/log.h"
#include "queues/connection.h"
#include "supervisor/link/link_stats.h"
#include "supervisor/link/http_socket.h"
#include "supervisor/link/link_http.h"
#include "supervisor/link/link_message.h"
#include "supervisor/link/link_node.h"
#include "supervisor/status_page.h"

static const char help[] =
    "usage: argosy-link --config FILE\n"
    "\n"
    "Tells the engine which workers of this node died, and serves the node's metrics and\n"
    "probes over HTTP. Started by argosy-supervisor.\n"
    "\n"
    "  --config FILE   the node's configuration\n"
    "  --help          this text\n"
    "\n"
    "example: argosy-link --config /var/lib/argosy/fleet.effective.yaml\n";

/* One request's life; the connection carries it from session to session meanwhile. */
#define REQUEST_TIMEOUT_MS 10000
/* After a refusal that may pass. */
#define RETRY_NS NS_PER_S
/* On SIGTERM: what the engine has not acknowledged by then it finds out by the leases. Less than
 * the supervisor's patience with us. */
#define DRAIN_NS (1500 * NS_PER_MS)

struct report {
    struct link *link;
    struct link_death death;
    bool is_used;
    uint64_t retry_ns; /* when to tell it again; 0: the engine was asked */
};

struct link {
    struct child child;
    struct connection *connection;
    struct link_stats stats;
    struct link_node node;
    struct status_reader *status; /* NULL: no supervisor */
    struct link_http *http;       /* NULL: not served */
    char http_address[HTTP_ADDRESS_TEXT_MAX];
    bool has_session;
    char engine_reason[ERROR_TEXT_MAX]; /* why there is no session */
    int epoll_fd;                       /* over what follows and HTTP, for the connection's loop */
    int signal_fd;
    int supervisor_fd;   /* -1: no supervisor */
    uint64_t drain_ns;   /* when to leave at the latest; 0: not draining */
    size_t report_count; /* used ones */
    struct report reports[LINK_PENDING_MAX];
};

static void acknowledge(struct report *report)
{
    struct link_ack ack = {.kind = LINK_RECORD_ACK, .sequence = report->death.sequence};
    /* If it does not arrive, the supervisor tells the next link, and the engine takes it twice. */
    ssize_t sent = send(report->link->supervisor_fd, &ack, sizeof ack, MSG_NOSIGNAL);
    (void)sent;
    report->is_used = false;
    report->link->report_count--;
}

static void take_reply(void *context, const struct connection_reply *reply)
{
    struct report *report = context;
    const struct link_death *death = &report->death;
    struct arena arena;
    struct error err = {0};
    ProtobufCMessage *message = NULL;
    arena_init(&arena, LIMIT_KIB * 64);
    int code = connection_reply_decode(reply, &arena, &message, &err);
    if (code == 0) {
        const Api__WorkerLostResponse *response = (const Api__WorkerLostResponse *)message;
        log_info("death.told", "pid=%lld tasks_lost=%d", (long long)death->pid,
                 response->tasks_lost);
        acknowledge(report);
    } else if (error_disposition(code) == DISPOSITION_RETRY) {
        report->retry_ns = clock_monotonic_ns() + RETRY_NS;
    } else {
        char quoted[ERROR_TEXT_MAX];
        log_error("death.refused", "pid=%lld error=%s", (long long)death->pid,
                  log_quote(err.text, quoted, sizeof quoted));
        acknowledge(report);
    }
    arena_fini(&arena);
}

static void tell_engine(struct report *report)
{
    struct link_death *death = &report->death;
    Api__WorkerLostRequest message = API__WORKER_LOST_REQUEST__INIT;
    message.node = report->link->child.node;
    message.has_pid = true;
    message.pid = death->pid;
    message.reason = death->reason;
    message.instance_id = death->instance_id;
    struct connection_request request = {
        .message = &message.base,
        .method = METHOD_WORKER_LOST,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .on_reply = take_reply,
        .context = report,
    };
    int code = connection_submit(report->link->connection, &request, NULL, NULL);
    report->retry_ns = code == 0 ? 0 : clock_monotonic_ns() + RETRY_NS;
}

static void take_death(struct link *link, const struct link_death *death)
{
    for (size_t i = 0; i < LINK_PENDING_MAX; i++) {
        struct report *report = &link->reports[i];
        if (report->is_used)
            continue;
        *report = (struct report){.link = link, .death = *death, .is_used = true};
        link->report_count++;
        tell_engine(report);
        return;
    }
    /* The supervisor remembers no more than we have room for. */
    log_error("death.dropped", "pid=%lld", (long long)death->pid);
}

static bool is_death(const union link_any *record, ssize_t count)
{
    const struct link_death *death = &record->death;
    return count == (ssize_t)sizeof *death && record->kind == LINK_RECORD_DEATH &&
           memchr(death->reason, '\0', sizeof death->reason) != NULL &&
           memchr(death->instance_id, '\0', sizeof death->instance_id) != NULL;
}

static bool is_answer(const union link_any *record, ssize_t count)
{
    const struct link_answer *answer = &record->answer;
    return count == (ssize_t)sizeof *answer && record->kind == LINK_RECORD_ANSWER &&
           memchr(answer->text, '\0', sizeof answer->text) != NULL;
}

/* Takes one record from the supervisor. Records are checked although only our own supervisor can
 * have written them: the two programs may be of different builds. */
static void take_record(struct link *link)
{
    union link_any record;
    ssize_t count = recv(link->supervisor_fd, &record, sizeof record, MSG_DONTWAIT | MSG_TRUNC);
    if (count < 0)
        return;
    if (count == 0) {
        log_info("supervisor.gone", "pid=%d", (int)getpid());
        exit(0); /* or it was replaced in place, and starts a link of its own */
    }
    if (is_death(&record, count)) {
        take_death(link, &record.death);
    } else if (is_answer(&record, count)) {
        link_node_answer(&link->node, &record.answer);
    } else {
        log_error("supervisor.record_malformed", "bytes=%zd", count);
        exit(EXIT_INTERNAL);
    }
}

static void take_news(struct link *link)
{
    struct epoll_event events[3];
    int count = epoll_wait(link->epoll_fd, events, 3, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == link->supervisor_fd) {
            take_record(link);
        } else if (events[i].data.fd == link->signal_fd && link->drain_ns == 0) {
            link->drain_ns = clock_monotonic_ns() + DRAIN_NS;
            epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, link->signal_fd, NULL);
        }
    }
}

/* Tells again what is due; returns how long the loop may wait, -1 for ever. */
static int tell_again(struct link *link)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t nearest_ns = link->drain_ns != 0 ? link->drain_ns : UINT64_MAX;
    for (size_t i = 0; i < LINK_PENDING_MAX && link->report_count > 0; i++) {
        struct report *report = &link->reports[i];
        if (!report->is_used || report->retry_ns == 0)
            continue;
        if (report->retry_ns <= now_ns)
            tell_engine(report);
        if (report->retry_ns != 0 && report->retry_ns < nearest_ns)
            nearest_ns = report->retry_ns;
    }
    if (nearest_ns == UINT64_MAX)
        return -1;
    return nearest_ns > now_ns ? (int)((nearest_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static bool is_drained(const struct link *link)
{
    return link->drain_ns != 0 &&
           (link->report_count == 0 || clock_monotonic_ns() >= link->drain_ns);
}

/* The shorter of two waits; -1 is for ever. */
static int shorter(int a_ms, int b_ms)
{
    if (a_ms < 0 || b_ms < 0)
        return a_ms < 0 ? b_ms : a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

static int run(struct link *link, struct error *err)
{
    int code = 0;
    while (code == 0 && !is_drained(link)) {
        bool has_news = false;
        int wait_ms = link->http != NULL ? link_http_turn(link->http) : -1;
        wait_ms = shorter(shorter(wait_ms, tell_again(link)), CHILD_IDLE_TURN_MS);
        code = connection_run(link->connection, wait_ms, link->epoll_fd, &has_news, err);
        if (has_news)
            take_news(link);
        child_progress(&link->child);
    }
    return code;
}

/* Set-up */

/* A descriptor that the supervisor passed under this name; -1 without one. */
static int inherited_fd(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL ? atoi(text) : -1;
}

/* -1 without a supervisor, or when it is no socket. */
static int supervisor_socket(void)
{
    struct link_death death;
    int fd = inherited_fd(LINK_ENV_FD);
    if (fd >= 0 && recv(fd, &death, 0, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN)
        return -1;
    return fd;
}

static int watch(struct link *link, int fd, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= 0 && epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot watch descriptor %d", fd);
    return 0;
}

static void on_session(void *context, const Api__HelloResponse *hello, bool engine_changed)
{
    struct link *link = context;
    (void)hello, (void)engine_changed;
    link->has_session = true;
    link_node_serve(&link->node);
}

static void on_session_lost(void *context, const char *reason)
{
    struct link *link = context;
    link->has_session = false;
    snprintf(link->engine_reason, sizeof link->engine_reason, "%s", reason);
}

static const char *engine_reason(void *context)
{
    const struct link *link = context;
    return link->has_session ? NULL : link->engine_reason;
}

static void on_stats(void *context)
{
    struct link *link = context;
    link_http_answer(link->http);
}

/* The supervisor passes its status page to every link. */
static int open_status(struct link *link, struct error *err)
{
    int fd = inherited_fd(STATUS_ENV_FD);
    return fd >= 0 ? status_reader_open(fd, &link->status, err) : 0;
}

/* Serves HTTP where the supervisor passed a socket for it. */
static int open_http(struct link *link, const struct fleet_config *config, struct error *err)
{
    int listen_fd = inherited_fd(HTTP_ENV_FD);
    if (listen_fd < 0 || link->status == NULL)
        return 0;
    http_address_format(listen_fd, link->http_address);
    struct link_http_config http = {
        .listen_fd = listen_fd,
        .node = link->child.node,
        .address = link->http_address,
        .status = link->status,
        .stats = &link->stats,
        .is_engine_here = config->engine.endpoint == NULL,
        .engine_reason = engine_reason,
        .context = link,
    };
    int code = link_http_open(&http, &link->http, err);
    if (code != 0)
        return code;
    link->node.http = link->http_address;
    return watch(link, link_http_fd(link->http), err);
}

static int link_open(struct link *link, const struct fleet_config *config, struct error *err)
{
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (link->epoll_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot set up the loop");
    struct fleet_endpoint endpoint;
    int code = watch(link, link->signal_fd, err);
    if (code == 0)
        code = watch(link, link->supervisor_fd, err);
    if (code == 0)
        code = fleet_config_endpoint(config, &endpoint, err);
    if (code != 0)
        return code;
    struct connection_config connection = {
        .address = endpoint.address,
        .server_key_file = endpoint.server_public_key_file,
        .client_key_file = endpoint.client_key_file,
        .identity = link->child.identity,
        .instance_id = link->child.instance_id,
        .node = link->child.node,
        .context = link,
        .on_session = on_session,
        .on_session_lost = on_session_lost,
    };
    strcpy(link->engine_reason, "not connected yet");
    code = connection_open(&connection, &link->connection, err);
    if (code != 0)
        return code;
    link_stats_init(&link->stats, link->connection, on_stats, link);
    code = open_status(link, err);
    link->node = (struct link_node){.connection = link->connection,
                                    .status = link->status,
                                    .node = link->child.node,
                                    .supervisor_fd = link->supervisor_fd};
    return code == 0 ? open_http(link, config, err) : code;
}

static void link_close(struct link *link)
{
    /* Ends the request for the engine's figures, too: who waits for them is answered. */
    connection_close(link->connection);
    link_http_close(link->http);
    status_reader_close(link->status);
    link_stats_fini(&link->stats);
}

static int fail(const struct error *err)
{
    char quoted[ERROR_TEXT_MAX];
    log_error("link.failed", "error=%s", log_quote(err->text, quoted, sizeof quoted));
    if (err->code == ERR_CLOSED)
        return EXIT_PARENT_DIED;
    return error_disposition(err->code) == DISPOSITION_STOP ? EXIT_BAD_CONFIG : EXIT_INTERNAL;
}

static int serve(struct link *link, const char *config_path, struct error *err)
{
    struct fleet_config *config = NULL;
    int code = fleet_config_load(config_path, &config, err);
    if (code != 0)
        return code;
    log_open("link", config->log_level, config->log_format);
    code = link_open(link, config, err);
    if (code == 0) {
        child_ready(&link->child);
        child_progress(&link->child); /* from here on silence is a hang */
        code = run(link, err);
    }
    link_close(link);
    fleet_config_destroy(config);
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct link link; /* large: a report for each pending death */
    const char *config_path = NULL;
    int key;
    while ((key = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
        if (key == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if (key != 'c')
            return EXIT_USAGE;
        config_path = optarg;
    }
    if (config_path == NULL || optind < argc) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct error err = {0};
    log_open("link", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    if (child_init(&link.child, "link", &err) != 0)
        return fail(&err);
    link.supervisor_fd = supervisor_socket();
    link.signal_fd = child_signal_fd(&err);
    if (link.signal_fd < 0 || serve(&link, config_path, &err) != 0)
        return fail(&err);
    return EXIT_OK;
}
