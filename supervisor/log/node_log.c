/* SPDX-License-Identifier: Apache-2.0 */
/* node_log: see node_log.h. */
#include "supervisor/log/node_log.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/clock.h"
#include "common/http_address.h"
#include "common/log.h"
#include "supervisor/log/log_output.h"

/* A supervisor that ends is waited for by people. A death is written in milliseconds, unless the
 * disk is in trouble; a log that nobody reads is not read in the next second either. */
#define WRITERS_WAIT_MS 5000
#define READER_WAIT_MS  1000

int node_log_open(struct node *node, struct error *err)
{
    const struct fleet_config *config = node->plan.config;
    int code = crash_folder_open(&node->crashes, config->data_dir, &config->supervisor, err);
    if (code != 0)
        return code;
    log_output_open(STDERR_FILENO);
    log_open_sink(log_output_write_own);
    return 0;
}

void node_log_close(struct node *node)
{
    crash_folder_close(&node->crashes, WRITERS_WAIT_MS);
    log_output_close(READER_WAIT_MS);
}

static void log_failure(const char *event, const char *name, const struct error *err)
{
    char quoted[ERROR_TEXT_MAX + 8];
    log_warn(event, "name=%s error=%s", name, log_quote(err->text, quoted, sizeof quoted));
}

/* Output */

static void watch(struct node *node, struct process *process)
{
    struct error err = {0};
    /* Only the kernel's memory can run out here. */
    ASSERT(loop_watch_once(&node->loop, log_stream_fd(process->log), &process->log_source, &err) ==
           0);
}

static void take_output(void *context, void *subject)
{
    (void)context;
    struct process *process = subject;
    log_stream_read(process->log, clock_monotonic_ns());
}

void node_log_watch(struct node *node, struct process *process)
{
    process->log_source =
        (struct loop_source){.take = take_output, .context = node, .subject = process};
    watch(node, process);
}

uint64_t node_log_deadline_ns(const struct node *node)
{
    uint64_t nearest_ns = log_output_deadline_ns();
    for (size_t i = 0; i < node->roster.count; i++) {
        const struct log_stream *log = node->roster.processes[i]->log;
        uint64_t deadline_ns = log != NULL ? log_stream_deadline_ns(log) : UINT64_MAX;
        if (deadline_ns < nearest_ns)
            nearest_ns = deadline_ns;
    }
    return nearest_ns;
}

void node_log_tick(struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (process->log != NULL && log_stream_tick(process->log, now_ns))
            watch(node, process);
    }
    log_output_tick(now_ns);
}

/* Deaths */

/* An end by itself or in a hurry is one that was asked for; a crash on the way out is none. */
static bool was_asked_for(const struct process *process, const struct death *death)
{
    enum lifecycle_state state = process->lifecycle.state;
    if (state != LIFECYCLE_STOPPED && state != LIFECYCLE_IDLE)
        return false;
    return death->cause == DEATH_CAUSE_HURRY ||
           (WIFEXITED(death->status) && WEXITSTATUS(death->status) == 0);
}

void node_log_keep(struct node *node, const struct process *process, pid_t pid, uint64_t lived_ns,
                   const struct death *death)
{
    if (pid == 0 || was_asked_for(process, death))
        return;
    struct buffer lines = {0};
    struct error err = {0};
    char reason[DEATH_TEXT_MAX];
    char path[PATH_MAX];
    log_stream_last(process->log, &lines);
    const struct crash crash = {
        .node = node->plan.config->node,
        .name = process->name,
        .program = process->writer.process,
        .instance_id = process->instance_id,
        .reason = death_format(death, reason),
        .pid = pid,
        .status = death->status,
        .death_count = process->lifecycle.deaths.count,
        .life_ns = lived_ns,
        .died_utc_us = clock_utc_us(),
        .last_lines = &lines,
    };
    if (crash_folder_keep(&node->crashes, &crash, path, &err) == 0)
        log_info("crash.kept", "name=%s pid=%d file=%s", process->name, (int)pid, path);
    else
        log_failure("crash.unkept", process->name, &err);
    buffer_fini(&lines);
}

/* The report */

/* Appends the lines, each behind its process's name. Lines have no tabs. */
static void add_lines(struct buffer *out, const char *name, struct buffer *lines)
{
    for (const char *line = buffer_text(lines); *line != '\0';) {
        size_t size = strcspn(line, "\n");
        buffer_printf(out, "%s\t%.*s\n", name, (int)size, line);
        line += size + 1;
    }
    buffer_clear(lines);
}

void node_log_snap(struct node *node)
{
    struct buffer text = {0};
    struct buffer lines = {0};
    struct error err = {0};
    char address[HTTP_ADDRESS_TEXT_MAX];
    if (node->setting.http_fd >= 0) {
        http_address_format(node->setting.http_fd, address);
        buffer_printf(&text, "http %s\n", address);
    }
    log_output_last(&lines);
    add_lines(&text, "supervisor", &lines);
    for (size_t i = 0; i < node->roster.count; i++) {
        const struct process *process = node->roster.processes[i];
        if (process->log == NULL)
            continue;
        log_stream_last(process->log, &lines);
        add_lines(&text, process->name, &lines);
    }
    if (crash_folder_snap(&node->crashes, &text, &err) != 0)
        log_failure("lines.unwritten", "supervisor", &err);
    buffer_fini(&lines);
    buffer_fini(&text);
}
