/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine is killed (SIGKILL) again and again while 200 workflows of three activities are under
 * way, and started again on the same store. Then
 *   - every workflow that was acknowledged completes, with the right result (the client checks);
 *   - no activity whose completion the engine acknowledged ran again: the worker keeps a ledger on
 *     disk of what it ran and of what was acknowledged, in the order it happened.
 * Programs: argosy-engine, and the pipeline worker of bench/ as a process of its own.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pipeline_client.h"
#include "bench/pipeline_worker.h"
#include "bench/process.h"

#define TASK_QUEUE "fault-queue"
#define WORKFLOWS  200
/* Killed when this many workflows have ended: in the middle of all that are under way. */
#define KILL_EVERY 40
#define KILLS_MIN  4

struct fault {
    char folder[64];
    char address[96];
    char ledger[96];
    char engine_path[512];
    struct process engine;
    struct process worker;
    size_t kills;
};

/* --- the worker's side -------------------------------------------------------------------------
 */

/* One line, there before the next step: "ran 0 kill-17 ..." or "acknowledged 0 kill-17 ...". */
static void append_ledger(int ledger, const char *what, const char *text)
{
    char line[256];
    int size = snprintf(line, sizeof line, "%s %s\n", what, text);
    if (write(ledger, line, (size_t)size) != size)
        _exit(1);
}

static void on_run(void *context, const char *text)
{
    append_ledger(*(int *)context, "ran", text);
}

static void on_acknowledged(void *context, const char *text)
{
    append_ledger(*(int *)context, "acknowledged", text);
}

static void start_worker(struct fault *fault)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    fault->worker.pid = pid;
    if (pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int ledger = open(fault->ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const struct pipeline_worker_config config = {.address = fault->address,
                                                  .task_queue = TASK_QUEUE,
                                                  .workflow_slots = 20,
                                                  .activity_slots = 20,
                                                  .stop_fd = -1,
                                                  .ready_fd = -1,
                                                  .context = &ledger,
                                                  .on_run = on_run,
                                                  .on_acknowledged = on_acknowledged};
    pipeline_worker_run(&config, NULL);
    _exit(1);
}

/* --- the engine --------------------------------------------------------------------------------
 */

static void start_engine(struct fault *fault)
{
    struct error err = {0};
    const char *const arguments[] = {fault->engine_path, "--data-dir",  fault->folder, "--listen",
                                     fault->address,     "--log-level", "warn",        NULL};
    if (process_start(&fault->engine, arguments, &err) != 0)
        fail_msg("%s", err.text);
}

/* On the client's thread, with requests of the client and of the worker on their way. */
static void kill_engine(void *context, size_t done)
{
    struct fault *fault = context;
    if (done % KILL_EVERY != 0 || done == WORKFLOWS)
        return;
    int status;
    process_stop(&fault->engine, SIGKILL, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    start_engine(fault);
    fault->kills++;
}

/* --- the ledger --------------------------------------------------------------------------------
 */

struct step {
    int runs;
    bool is_acknowledged;
};

/* No run of a step after its acknowledgement; and every step ran. */
static void check_ledger(const char *path)
{
    static struct step steps[WORKFLOWS][PIPELINE_STEPS];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char what[32], line[256];
    size_t acknowledged = 0, repeated = 0;
    memset(steps, 0, sizeof steps);
    while (fgets(line, sizeof line, file) != NULL) {
        int number, workflow;
        assert_int_equal(sscanf(line, "%31s %d kill-%d ", what, &number, &workflow), 3);
        assert_in_range(number, 0, PIPELINE_STEPS - 1);
        assert_in_range(workflow, 0, WORKFLOWS - 1);
        struct step *step = &steps[workflow][number];
        if (strcmp(what, "acknowledged") == 0) {
            step->is_acknowledged = true;
            acknowledged++;
        } else if (step->is_acknowledged) {
            fail_msg("ran again after its acknowledgement: %s", line);
        } else if (step->runs++ > 0) {
            repeated++;
        }
    }
    fclose(file);
    for (int workflow = 0; workflow < WORKFLOWS; workflow++) {
        for (int number = 0; number < PIPELINE_STEPS; number++)
            assert_true(steps[workflow][number].runs > 0);
    }
    print_message("acknowledged %zu, run again without acknowledgement %zu\n", acknowledged,
                  repeated);
    assert_true(acknowledged > 0);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void set_up(struct fault *fault)
{
    const char *bin = getenv("ARGOSY_BIN_DIR");
    assert_non_null(bin);
    snprintf(fault->engine_path, sizeof fault->engine_path, "%s/argosy-engine", bin);
    snprintf(fault->folder, sizeof fault->folder, "/tmp/argosy-fault-XXXXXX");
    assert_non_null(mkdtemp(fault->folder));
    snprintf(fault->address, sizeof fault->address, "ipc://%s/engine.sock", fault->folder);
    snprintf(fault->ledger, sizeof fault->ledger, "%s/ledger", fault->folder);
}

static void tear_down(struct fault *fault)
{
    process_stop(&fault->worker, SIGKILL, NULL);
    process_stop(&fault->engine, SIGKILL, NULL);
    process_remove_folder(fault->folder);
}

static void nothing_acknowledged_is_lost_or_run_again(void **state)
{
    (void)state;
    struct fault fault = {0};
    set_up(&fault);
    start_engine(&fault);
    start_worker(&fault);
    const struct pipeline_client_config config = {.address = fault.address,
                                                  .task_queue = TASK_QUEUE,
                                                  .id_prefix = "kill",
                                                  .count = WORKFLOWS,
                                                  .concurrency = WORKFLOWS,
                                                  .context = &fault,
                                                  .on_result = kill_engine};
    struct pipeline_client_report report;
    struct error err = {0};
    if (pipeline_client_run(&config, &report, &err) != 0)
        fail_msg("%s", err.text);
    free(report.latencies_ns);
    assert_true(fault.kills >= KILLS_MIN);
    int status;
    process_stop(&fault.engine, SIGTERM, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    process_stop(&fault.worker, SIGKILL, NULL);
    check_ledger(fault.ledger);
    tear_down(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_or_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
