/* SPDX-License-Identifier: Apache-2.0 */
/* death: see death.h. */
#include "supervisor/death.h"

#include <ctype.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/exit_code.h"

void death_history_add(struct death_history *history, const struct death *death)
{
    history->deaths[history->count % DEATH_HISTORY_MAX] = *death;
    history->count++;
}

const struct death *death_history_last(const struct death_history *history)
{
    if (history->count == 0)
        return NULL;
    return &history->deaths[(history->count - 1) % DEATH_HISTORY_MAX];
}

bool death_is_from_outside(const struct death *death)
{
    return death->cause == DEATH_CAUSE_NONE && WIFSIGNALED(death->status) &&
           WTERMSIG(death->status) == SIGKILL;
}

unsigned death_history_row(const struct death_history *history)
{
    unsigned known = history->count < DEATH_HISTORY_MAX ? history->count : DEATH_HISTORY_MAX;
    unsigned row = 0;
    for (unsigned i = 0; i < known; i++) {
        const struct death *death = &history->deaths[(history->count - 1 - i) % DEATH_HISTORY_MAX];
        if (death->healthy_ns >= DEATH_HEALTHY_NS)
            break;
        bool is_blameless = death_is_from_outside(death) && death->healthy_ns >= DEATH_SETTLED_NS;
        row += is_blameless ? 0 : 1;
    }
    return row;
}

uint64_t death_history_delay_ns(const struct death_history *history)
{
    uint64_t delay_ns = DEATH_DELAY_FIRST_NS;
    for (unsigned row = death_history_row(history); row > 1; row--) {
        delay_ns *= 2;
        if (delay_ns >= DEATH_DELAY_MAX_NS)
            return DEATH_DELAY_MAX_NS;
    }
    return delay_ns;
}

bool death_is_final(const struct death *death)
{
    if (death->cause != DEATH_CAUSE_NONE || !WIFEXITED(death->status))
        return false;
    int code = WEXITSTATUS(death->status);
    return code == EXIT_BAD_CONFIG || code == EXIT_DEVICE_UNUSABLE || code == EXIT_USAGE;
}

enum death_kind death_kind(const struct death *death)
{
    switch (death->cause) {
    case DEATH_CAUSE_START:
        return DEATH_KIND_START;
    case DEATH_CAUSE_HANG:
        return DEATH_KIND_HANG;
    case DEATH_CAUSE_EXEC:
        return DEATH_KIND_EXEC;
    case DEATH_CAUSE_MEMORY:
    case DEATH_CAUSE_OOM:
        return DEATH_KIND_MEMORY;
    default:
        return WIFSIGNALED(death->status) ? DEATH_KIND_SIGNAL : DEATH_KIND_EXIT;
    }
}

const char *death_kind_name(enum death_kind kind)
{
    static const char *const names[DEATH_KIND_COUNT] = {"exit", "signal", "start",
                                                        "hang", "exec",   "memory"};
    return names[kind];
}

static const char *exit_text(int code)
{
    switch (code) {
    case EXIT_OK:
        return "ended";
    case EXIT_FAILED:
        return "failed";
    case EXIT_USAGE:
        return "wrong command line";
    case EXIT_BAD_INPUT:
        return "bad input";
    case EXIT_NOT_FOUND:
        return "not found";
    case EXIT_UNAVAILABLE:
        return "unavailable";
    case EXIT_INTERNAL:
        return "internal error";
    case EXIT_ALREADY_EXISTS:
        return "already exists";
    case EXIT_STORAGE:
        return "storage failure";
    case EXIT_TIMEOUT:
        return "timeout";
    case EXIT_BAD_CONFIG:
        return "bad configuration";
    case EXIT_GPU_POISONED:
        return "gpu poisoned";
    case EXIT_DEVICE_UNUSABLE:
        return "no usable device";
    case EXIT_PARENT_DIED:
        return "supervisor gone";
    default:
        return "unknown code";
    }
}

const char *death_cause_text(enum death_cause cause)
{
    static const char *const texts[] = {
        [DEATH_CAUSE_NONE] = "",
        [DEATH_CAUSE_START] = "not ready in time",
        [DEATH_CAUSE_HANG] = "no progress",
        [DEATH_CAUSE_GRACE] = "grace period over",
        [DEATH_CAUSE_HURRY] = "hurried",
        [DEATH_CAUSE_EXEC] = "cannot execute",
        [DEATH_CAUSE_RESTART] = "restarted",
        [DEATH_CAUSE_MEMORY] = "over its memory limit",
        [DEATH_CAUSE_OOM] = "killed by the kernel: out of memory",
        [DEATH_CAUSE_OOM_MAYBE] = "maybe out of memory",
    };
    return texts[cause];
}

/* 1234567 as "1,234,567". */
static void format_count(uint32_t count, char out[16])
{
    char digits[16];
    int length = snprintf(digits, sizeof digits, "%u", (unsigned)count);
    char *at = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
}

/* Why it was ended, with what there is to say of it; "" for none. */
static void format_cause(const struct death *death, char out[DEATH_TEXT_MAX])
{
    char used[16];
    char most[16];
    const char *text = death_cause_text(death->cause);
    format_count(death->memory_mb, used);
    format_count(death->memory_max_mb, most);
    if (death->cause == DEATH_CAUSE_MEMORY)
        snprintf(out, DEATH_TEXT_MAX, "%s: %s of %s MB", text, used, most);
    else if (death->cause == DEATH_CAUSE_OOM && death->memory_max_mb > 0)
        snprintf(out, DEATH_TEXT_MAX, "%s, over its limit of %s MB", text, most);
    else
        snprintf(out, DEATH_TEXT_MAX, "%s", text);
}

static void format_end(const struct death *death, char out[DEATH_TEXT_MAX])
{
    if (death->cause == DEATH_CAUSE_EXEC) {
        snprintf(out, DEATH_TEXT_MAX, "%s", strerror(death->status));
    } else if (WIFSIGNALED(death->status)) {
        int number = WTERMSIG(death->status);
        snprintf(out, DEATH_TEXT_MAX, "signal %d (%s%s)", number, strsignal(number),
                 WCOREDUMP(death->status) ? ", core dumped" : "");
        for (char *at = out; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
    } else {
        int code = WEXITSTATUS(death->status);
        snprintf(out, DEATH_TEXT_MAX, "exit %d (%s)", code, exit_text(code));
    }
}

const char *death_format(const struct death *death, char out[DEATH_TEXT_MAX])
{
    char cause[DEATH_TEXT_MAX];
    char end[DEATH_TEXT_MAX];
    format_cause(death, cause);
    format_end(death, end);
    if (cause[0] == '\0' || death->cause == DEATH_CAUSE_OOM) /* which says it all */
        snprintf(out, DEATH_TEXT_MAX, "%s", cause[0] != '\0' ? cause : end);
    else
        snprintf(out, DEATH_TEXT_MAX, "%.*s%s%.*s", DEATH_TEXT_MAX / 2, cause,
                 death->cause == DEATH_CAUSE_EXEC ? ": " : ", ", DEATH_TEXT_MAX / 2 - 3, end);
    return out;
}
