/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: a plug-in for integration and fault tests: workflows whose activities keep a ledger and
 * wait at a gate, so that a test knows where a process is when it kills it.
 *
 * The folder is $PROBE_DIR. Activities append lines to its file `ledger`, each one write(2):
 *
 *     <utc_us> <activity> <what> pid=<pid> attempt=<n> loss=<n> from=<n>
 *
 * A gate is the FIFO `gate`: an activity opens it and waits for one byte, which the test writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

int probe_path(const char *name, char path[PROBE_PATH_SIZE], struct argosy_error *err)
{
    const char *folder = getenv("PROBE_DIR");
    if (folder == NULL)
        return argosy_error_set(err, ARGOSY_ERR_CONFIG, "PROBE_DIR is not set");
    snprintf(path, PROBE_PATH_SIZE, "%s/%s", folder, name);
    return 0;
}

int ledger_append(struct argosy_activity *activity, const char *what, int64_t from,
                  struct argosy_error *err)
{
    char path[PROBE_PATH_SIZE];
    int code = probe_path("ledger", path, err);
    if (code != 0)
        return code;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct argosy_activity_info *info = argosy_activity_info(activity);
    char line[256];
    int length =
        snprintf(line, sizeof line, "%lld %s %s pid=%d attempt=%d loss=%d from=%lld\n",
                 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, info->activity_type, what,
                 (int)getpid(), (int)info->attempt, (int)info->loss_count, (long long)from);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return argosy_error_set(err, ARGOSY_ERR_IO, "cannot open the ledger: errno %d", errno);
    ssize_t written = write(fd, line, (size_t)length);
    close(fd);
    return written == length ? 0 : argosy_error_set(err, ARGOSY_ERR_IO, "cannot write the ledger");
}

static int gate_wait(struct argosy_error *err)
{
    char path[PROBE_PATH_SIZE];
    int code = probe_path("gate", path, err);
    if (code != 0)
        return code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return argosy_error_set(err, ARGOSY_ERR_IO, "cannot open the gate: errno %d", errno);
    char byte;
    ssize_t got = read(fd, &byte, 1);
    close(fd);
    return got == 1 ? 0 : argosy_error_set(err, ARGOSY_ERR_IO, "the gate was shut");
}

static int pass(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int code = ledger_append(activity, "passed", 0, err);
    if (code == 0)
        *ret_result = argosy_payload_integer(argosy_activity_arena(activity), getpid());
    return code;
}

static int wait_at_gate(struct argosy_activity *activity, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int code = ledger_append(activity, "waiting", 0, err);
    if (code == 0)
        code = gate_wait(err);
    if (code == 0)
        code = ledger_append(activity, "passed", 0, err);
    if (code == 0)
        *ret_result = argosy_payload_integer(argosy_activity_arena(activity), getpid());
    return code;
}

/* Counts to 10 with a heartbeat after each; its first dispatch waits at the gate after 5. */
static int count_with_checkpoints(struct argosy_activity *activity, void *user_data,
                                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t next = 0;
    const struct argosy_payload *checkpoint = argosy_activity_last_heartbeat(activity);
    if (!argosy_payload_is_null(checkpoint)) {
        int code = argosy_payload_get_integer(checkpoint, &next, err);
        if (code != 0)
            return code;
    }
    int code = ledger_append(activity, "started", next, err);
    bool resumed = next > 0;
    for (; code == 0 && next < 10; next++) {
        if (next == 5 && !resumed) {
            code = ledger_append(activity, "waiting", next, err);
            if (code == 0)
                code = gate_wait(err);
        }
        struct argosy_payload details =
            argosy_payload_integer(argosy_activity_arena(activity), next + 1);
        argosy_activity_heartbeat(activity, &details);
    }
    if (code == 0)
        *ret_result = argosy_payload_integer(argosy_activity_arena(activity), next);
    return code;
}

/* Kills the process that runs it, whichever that is. */
static int poison(struct argosy_activity *activity, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    (void)ret_result;
    int code = ledger_append(activity, "poisoned", 0, err);
    if (code == 0)
        _exit(70);
    return code;
}

/* Heartbeats without a pause until the file `release` is there. */
static int beat(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    (void)ret_result;
    char path[PROBE_PATH_SIZE];
    int64_t count = 0;
    int code = probe_path("release", path, err);
    const struct argosy_payload *checkpoint = argosy_activity_last_heartbeat(activity);
    if (code == 0 && !argosy_payload_is_null(checkpoint))
        code = argosy_payload_get_integer(checkpoint, &count, err);
    if (code == 0)
        code = ledger_append(activity, "beating", count, err);
    while (code == 0 && access(path, F_OK) != 0 && !argosy_activity_is_draining(activity)) {
        struct argosy_payload details =
            argosy_payload_integer(argosy_activity_arena(activity), ++count);
        argosy_activity_heartbeat(activity, &details);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL); /* the work */
    }
    if (code == 0)
        code = ledger_append(activity, "passed", count, err);
    return code;
}

/* A result that no message can carry. */
static int large(struct argosy_activity *activity, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    static const char zeros[3 * 1024 * 1024];
    *ret_result = argosy_payload_binary(zeros, sizeof zeros);
    return ledger_append(activity, "passed", 0, err);
}

/* Takes $PROBE_EAT_MB of memory and waits until it is taken from it, unless the file `eaten` is
 * there: the first dispatch makes it. */
static int eat(struct argosy_activity *activity, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    (void)ret_result;
    char path[PROBE_PATH_SIZE];
    const char *text = getenv("PROBE_EAT_MB");
    int code = probe_path("eaten", path, err);
    int fd = code == 0 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && text != NULL) {
        close(fd);
        code = ledger_append(activity, "eating", 0, err);
        size_t size = strtoul(text, NULL, 10) << 20;
        char *volatile memory = malloc(size);
        memset(memory, 1, size);
        while (!argosy_activity_is_draining(activity))
            nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL); /* the work */
        free(memory);
        return ARGOSY_ACTIVITY_RELEASED;
    }
    return code != 0 ? code : ledger_append(activity, "passed", 0, err);
}

static int refuse(struct argosy_activity *activity, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    (void)ret_result;
    int code = ledger_append(activity, "refused", 0, err);
    return code != 0 ? code
                     : argosy_failure_raise(argosy_activity_arena(activity),
                                            &(struct argosy_failure_options){
                                                .type = "Refused",
                                                .message = "never",
                                                .non_retryable = true,
                                            },
                                            err);
}

/* One activity of the type that user_data names. */
static int run_one(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){
            .type = user_data, .start_to_close_timeout_ms = 60000, .heartbeat_timeout_ms = 0},
        ret_result, err);
}

/* One activity with the options that user_data points to. Its failure does not fail the run: the
 * result tells of it. */
static int run_handled(struct argosy_workflow *workflow, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    int code = argosy_activity_execute(workflow, user_data, ret_result, err);
    if (code == 0 || err->failure == NULL)
        return code;
    const struct argosy_failure *root = argosy_failure_root(err->failure);
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_result, err,
                               "{s:s, s:s, s:i, s:i}", "type", argosy_failure_type(root), "message",
                               argosy_failure_message(root), "timeout",
                               (int)argosy_failure_timeout_type(root), "retry_state",
                               (int)argosy_failure_retry_state(err->failure));
}

/* probe_pass, then probe_gate, then probe_pass: a worker can be killed between two of them. */
static int run_three(struct argosy_workflow *workflow, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    static const char *const types[] = {"probe_pass", "probe_gate", "probe_pass"};
    for (int i = 0; i < 3; i++) {
        int code = run_one(workflow, (void *)types[i], ret_result, err);
        if (code != 0)
            return code;
    }
    return 0;
}

/* Waits for the signal "go" and answers the query "state" meanwhile. */
static int answer_state(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                        void *user_data, struct argosy_payload *ret_answer,
                        struct argosy_error *err)
{
    (void)workflow;
    (void)input;
    (void)err;
    *ret_answer = argosy_payload_json(user_data);
    return 0;
}

static int wait_for_signal(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    argosy_query_handle(workflow, "state", answer_state, (void *)"\"waiting\"");
    return argosy_signal_receive(workflow, "go", -1, ret_result, err);
}

static bool is_released(void)
{
    char path[PROBE_PATH_SIZE];
    struct argosy_error err = {0};
    return probe_path("release", path, &err) == 0 && access(path, F_OK) == 0;
}

/* What no workflow may do: computes for ever, unless the file `release` is there. */
static int loop_for_ever(struct argosy_workflow *workflow, void *user_data,
                         struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)workflow, (void)user_data, (void)ret_result, (void)err;
    volatile bool is_over = is_released();
    while (!is_over)
        ;
    return 0;
}

/* Nor this: waits for something that is no future, unless the file `release` is there. */
static int block_for_ever(struct argosy_workflow *workflow, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)workflow, (void)user_data, (void)ret_result;
    return is_released() ? 0 : gate_wait(err);
}

ARGOSY_PLUGIN(registry, err)
{
    static const struct {
        const char *type;
        argosy_activity_function *function;
    } activities[] = {
        {"probe_pass", pass},
        {"probe_gate", wait_at_gate},
        {"probe_count", count_with_checkpoints},
        {"probe_poison", poison},
        {"probe_beat", beat},
        {"probe_large", large},
        {"probe_refuse", refuse},
        {"probe_eat", eat},
    };
    static const struct argosy_activity_options beating = {
        .type = "probe_beat",
        .start_to_close_timeout_ms = 120000,
        .heartbeat_timeout_ms = 4000,
        .retry_policy = {.initial_interval_ms = 10, .maximum_attempts = 3},
    };
    static const struct argosy_activity_options slow = {
        .type = "probe_gate",
        .start_to_close_timeout_ms = 300,
        .retry_policy = {.initial_interval_ms = 10, .maximum_attempts = 2},
    };
    static const struct argosy_activity_options nobody = {
        .type = "probe_pass",
        .task_queue = "nobodys-queue",
        .start_to_close_timeout_ms = 60000,
        .schedule_to_start_timeout_ms = 300,
    };
    static const struct argosy_activity_options too_large = {
        .type = "probe_large",
        .start_to_close_timeout_ms = 60000,
        .retry_policy = {.initial_interval_ms = 10, .maximum_attempts = 2},
    };
    static const struct argosy_activity_options refused = {
        .type = "probe_refuse",
        .start_to_close_timeout_ms = 60000,
        .retry_policy = {.initial_interval_ms = 10, .maximum_attempts = 5},
    };
    static const struct {
        const char *type;
        const struct argosy_activity_options *options;
    } handled[] = {
        {"ProbeBeat", &beating},       {"ProbeSlow", &slow},       {"ProbeNobody", &nobody},
        {"ProbeTooLarge", &too_large}, {"ProbeRefused", &refused},
    };
    static const struct {
        const char *type;
        argosy_workflow_function *function;
        const char *activity;
    } workflows[] = {
        {"ProbeGate", run_one, "probe_gate"},     {"ProbeCount", run_one, "probe_count"},
        {"ProbePoison", run_one, "probe_poison"}, {"ProbePass", run_one, "probe_pass"},
        {"ProbeThree", run_three, NULL},          {"ProbeSignal", wait_for_signal, NULL},
        {"ProbeLoop", loop_for_ever, NULL},       {"ProbeBlock", block_for_ever, NULL},
        {"ProbeEat", run_one, "probe_eat"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof activities / sizeof activities[0]; i++)
        code = argosy_registry_add_activity(registry, activities[i].type, activities[i].function,
                                            NULL, err);
    for (size_t i = 0; code == 0 && i < sizeof workflows / sizeof workflows[0]; i++)
        code = argosy_registry_add_workflow(registry, workflows[i].type, workflows[i].function,
                                            (void *)workflows[i].activity, err);
    for (size_t i = 0; code == 0 && i < sizeof handled / sizeof handled[0]; i++)
        code = argosy_registry_add_workflow(registry, handled[i].type, run_handled,
                                            (void *)handled[i].options, err);
    return code == 0 ? fan_register(registry, err) : code;
}
