/* SPDX-License-Identifier: Apache-2.0 */
/* memory_limit: see memory_limit.h. */
#include "supervisor/memory/memory_limit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fleet_config.h"
#include "common/log.h"

static int open_cgroup(const char *setting, struct cgroup **ret_cgroup, struct error *err)
{
    if (strcmp(setting, FLEET_CGROUP_NONE) == 0)
        return error_set(err, ERR_UNSUPPORTED, "supervisor.cgroup is none");
    if (strcmp(setting, FLEET_CGROUP_AUTO) == 0)
        return cgroup_open(ret_cgroup, err);
    return cgroup_open_at(setting, ret_cgroup, err);
}

void memory_limit_open(struct memory_limit *limit, const char *setting)
{
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX + 64];
    *limit = (struct memory_limit){0};
    if (open_cgroup(setting, &limit->cgroup, &err) == 0)
        log_info("memory.limits_enforced", "by=kernel cgroup=%s",
                 log_quote(cgroup_folder(limit->cgroup), quoted, sizeof quoted));
    else
        log_info("memory.limits_watched", "by=supervisor reason=%s",
                 log_quote(err.text, quoted, sizeof quoted));
    oom_counter_init(&limit->counter); /* the supervisor is in its leaf now */
}

void memory_limit_close(struct memory_limit *limit)
{
    cgroup_close(limit->cgroup);
    limit->cgroup = NULL;
}

int memory_limit_enter(const struct memory_limit *limit, const char *name,
                       struct memory_share *share)
{
    struct error err = {0};
    int fd = -1;
    share->has_leaf = false;
    if (limit->cgroup == NULL)
        return -1;
    if (cgroup_leaf_open(limit->cgroup, name, share->limit_bytes, &fd, &err) != 0) {
        char quoted[ERROR_TEXT_MAX + 64];
        log_warn("memory.limit_refused", "name=%s reason=%s", name,
                 log_quote(err.text, quoted, sizeof quoted));
        return -1;
    }
    memory_limit_find(limit, name, share);
    return fd;
}

void memory_limit_find(const struct memory_limit *limit, const char *name,
                       struct memory_share *share)
{
    share->has_leaf = limit->cgroup != NULL;
    if (share->has_leaf)
        share->oom_kills = cgroup_leaf_oom_kills(limit->cgroup, name);
}

void memory_limit_set(const struct memory_limit *limit, const char *name,
                      struct memory_share *share, uint64_t limit_bytes)
{
    struct error err = {0};
    bool is_changed = share->limit_bytes != limit_bytes;
    share->limit_bytes = limit_bytes;
    if (!is_changed || !share->has_leaf ||
        cgroup_leaf_limit(limit->cgroup, name, limit_bytes, &err) == 0)
        return;
    char quoted[ERROR_TEXT_MAX + 64];
    log_warn("memory.limit_refused", "name=%s reason=%s", name,
             log_quote(err.text, quoted, sizeof quoted));
}

void memory_limit_leave(const struct memory_limit *limit, const char *name,
                        struct memory_share *share)
{
    if (share->has_leaf)
        cgroup_leaf_close(limit->cgroup, name);
    share->has_leaf = false;
}

/* Resident pages less those of files and shared memory: "size resident shared ...". */
static bool read_own_bytes(pid_t pid, uint64_t *ret_bytes)
{
    char text[128];
    snprintf(text, sizeof text, "/proc/%d/statm", (int)pid);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    unsigned long resident, shared;
    if (length <= 0)
        return false;
    text[length] = '\0';
    if (sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 || shared > resident)
        return false;
    *ret_bytes = (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

bool memory_limit_is_exceeded(const struct memory_share *share, pid_t pid, uint64_t *ret_bytes)
{
    return share->limit_bytes > 0 && !share->has_leaf && read_own_bytes(pid, ret_bytes) &&
           *ret_bytes > share->limit_bytes;
}

enum death_cause memory_limit_explain(struct memory_limit *limit, const char *name,
                                      const struct memory_share *share, uint64_t now_ns)
{
    if (share->has_leaf)
        return cgroup_leaf_oom_kills(limit->cgroup, name) > share->oom_kills ? DEATH_CAUSE_OOM
                                                                             : DEATH_CAUSE_NONE;
    switch (oom_counter_claim(&limit->counter, now_ns)) {
    case OOM_SURE:
        return DEATH_CAUSE_OOM;
    case OOM_MAYBE:
        return DEATH_CAUSE_OOM_MAYBE;
    default:
        return DEATH_CAUSE_NONE;
    }
}

void memory_limit_turn(struct memory_limit *limit, uint64_t now_ns)
{
    oom_counter_turn(&limit->counter, now_ns);
}
