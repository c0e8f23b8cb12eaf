/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_health_main: the program argosy-gpu-health: reads NVML for the supervisor, which itself loads
 * no driver's library (docs/spec/04-supervision.md, section "GPU health").
 *
 * It tells the supervisor what NVML says, in records (gpu_record.h), and judges nothing. It says
 * that it is ready before it touches the driver: whatever waits for that is watched as progress,
 * and a driver that hangs costs this process only. Without NVML it ends with EXIT_DEVICE_UNUSABLE,
 * which means: not again.
 *
 * Figures that the supervisor does not take are dropped, since newer ones follow; events are not.
 * Started by hand it logs what it would tell.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/exit_code.h"
#include "common/fleet_config.h"
#include "common/log.h"
#include "supervisor/gpu/nvml.h"

static const char help[] =
    "usage: argosy-gpu-health --config FILE\n"
    "\n"
    "Watches the node's NVIDIA GPUs through NVML and tells the supervisor of errors,\n"
    "temperatures and memory. Started by argosy-supervisor; by hand it logs what it sees.\n"
    "\n"
    "  --config FILE   the node's configuration\n"
    "  --help          this text\n"
    "\n"
    "example: argosy-gpu-health --config /var/lib/argosy/fleet.effective.yaml\n";

struct watcher {
    struct child child;
    struct nvml *nvml;
    int signal_fd;
    int supervisor_fd;   /* -1: started by hand */
    uint64_t look_ns;    /* when the figures are due */
    uint64_t between_ns; /* two looks */
    bool is_absent;      /* there is no NVML to watch by */
    bool is_cut;         /* the supervisor does not listen any more */
};

/* Whether it is asked to end within timeout_ms. */
static bool is_over(const struct watcher *watcher, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = watcher->signal_fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void log_record(const struct gpu_record *record)
{
    const struct gpu_identity *gpu = &record->identity;
    if (record->kind == GPU_RECORD_EVENT)
        log_info("gpu.event", "uuid=%s bus_id=%s event=%u xid=%" PRIu64, gpu->uuid, gpu->bus_id,
                 (unsigned)record->event, record->xid);
    else
        log_info("gpu.figures", "uuid=%s bus_id=%s temperature=%" PRIu64 " memory_used=%" PRIu64,
                 gpu->uuid, gpu->bus_id, record->figures[GPU_FIGURE_TEMPERATURE],
                 record->figures[GPU_FIGURE_MEMORY_USED]);
}

/* Whether the record was taken, or never will be. */
static bool has_told(struct watcher *watcher, const struct gpu_record *record)
{
    if (send(watcher->supervisor_fd, record, sizeof *record, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return true;
    bool is_full = errno == EAGAIN || errno == EINTR;
    watcher->is_cut = !is_full;
    return !is_full;
}

/* A supervisor that does not read has our patience for an event. */
static void tell(struct watcher *watcher, const struct gpu_record *record)
{
    if (watcher->supervisor_fd < 0) {
        log_record(record);
        return;
    }
    while (!has_told(watcher, record) && record->kind == GPU_RECORD_EVENT) {
        struct pollfd fds[] = {{.fd = watcher->supervisor_fd, .events = POLLOUT},
                               {.fd = watcher->signal_fd, .events = POLLIN}};
        poll(fds, 2, CHILD_IDLE_TURN_MS);
        if (fds[1].revents != 0)
            return;
        child_progress(&watcher->child);
    }
}

static void look(struct watcher *watcher)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns < watcher->look_ns)
        return;
    watcher->look_ns = now_ns + watcher->between_ns;
    for (size_t i = 0; i < nvml_unit_count(watcher->nvml); i++) {
        struct gpu_record record;
        nvml_read(watcher->nvml, i, &record);
        tell(watcher, &record);
        child_progress(&watcher->child);
    }
}

/* How long to wait for an event: until the next look, and never so long that it looks like a hang.
 */
static unsigned next_timeout_ms(const struct watcher *watcher)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t wait_ms =
        watcher->look_ns > now_ns ? (watcher->look_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    return wait_ms < CHILD_IDLE_TURN_MS ? (unsigned)wait_ms : CHILD_IDLE_TURN_MS;
}

/* Waits for an event and tells it. */
static int wait_event(struct watcher *watcher, struct error *err)
{
    struct gpu_record record;
    uint64_t begin_ns = clock_monotonic_ns();
    unsigned timeout_ms = next_timeout_ms(watcher);
    int code =
        nvml_has_events(watcher->nvml) ? nvml_wait(watcher->nvml, timeout_ms, &record, err) : 0;
    if (code == 1)
        tell(watcher, &record);
    if (code != 0)
        return code < 0 ? code : 0;
    /* Without events, or with a GPU that is lost, it does not wait by itself. */
    uint64_t waited_ms = (clock_monotonic_ns() - begin_ns) / NS_PER_MS;
    is_over(watcher, waited_ms < timeout_ms ? (int)(timeout_ms - waited_ms) : 0);
    return 0;
}

static int run(struct watcher *watcher, struct error *err)
{
    int code = 0;
    while (code == 0 && !watcher->is_cut && !is_over(watcher, 0)) {
        look(watcher);
        code = wait_event(watcher, err);
        child_progress(&watcher->child);
    }
    if (code == 0 && watcher->is_cut)
        return error_set(err, ERR_CLOSED, "the supervisor does not listen any more");
    return code;
}

static int watch(struct watcher *watcher, const struct fleet_gpu_health *config, struct error *err)
{
    watcher->between_ns = (uint64_t)config->interval_ms * NS_PER_MS;
    child_ready(&watcher->child);
    child_progress(&watcher->child);
    int code = nvml_open(config->library, &watcher->nvml, err);
    if (code == ERR_NOT_FOUND || code == ERR_INVALID) {
        char quoted[ERROR_TEXT_MAX];
        log_info("nvml.absent", "reason=%s", log_quote(err->text, quoted, sizeof quoted));
        watcher->is_absent = true;
        return 0;
    }
    if (code != 0)
        return code;
    const char *lacks = nvml_lacks(watcher->nvml);
    log_info("nvml.opened", "units=%zu events=%s lacks=%s", nvml_unit_count(watcher->nvml),
             nvml_has_events(watcher->nvml) ? "true" : "false", lacks[0] != '\0' ? lacks : "none");
    code = run(watcher, err);
    nvml_close(watcher->nvml);
    return code;
}

static int fail(const struct error *err)
{
    char quoted[ERROR_TEXT_MAX];
    log_error("gpu_health.failed", "error=%s", log_quote(err->text, quoted, sizeof quoted));
    if (err->code == ERR_CLOSED)
        return EXIT_PARENT_DIED;
    return error_disposition(err->code) == DISPOSITION_STOP ? EXIT_BAD_CONFIG : EXIT_UNAVAILABLE;
}

static int serve(struct watcher *watcher, const char *config_path, struct error *err)
{
    struct fleet_config *config = NULL;
    int code = fleet_config_load(config_path, &config, err);
    if (code != 0)
        return code;
    log_open("gpu-health", config->log_level, config->log_format);
    code = watch(watcher, &config->supervisor.gpu_health, err);
    fleet_config_destroy(config);
    return code;
}

/* The socket that the supervisor gave us; -1 when started by hand. */
static int supervisor_socket(void)
{
    const char *text = getenv(GPU_ENV_FD);
    return text != NULL ? atoi(text) : -1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
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
    struct watcher watcher = {.supervisor_fd = supervisor_socket()};
    log_open("gpu-health", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    if (child_init(&watcher.child, "gpu-health", &err) != 0)
        return fail(&err);
    watcher.signal_fd = child_signal_fd(&err);
    if (watcher.signal_fd < 0 || serve(&watcher, config_path, &err) != 0)
        return fail(&err);
    return watcher.is_absent ? EXIT_DEVICE_UNUSABLE : EXIT_OK;
}
