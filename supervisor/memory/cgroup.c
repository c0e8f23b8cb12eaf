/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup: see cgroup.h. */
#include "supervisor/memory/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervisor/memory/oom_counter.h"

#define LEAF_PREFIX     "argosy."
#define SUPERVISOR_LEAF LEAF_PREFIX "supervisor"
#define WORKER_PREFIX   LEAF_PREFIX "worker."

/* A folder, a leaf of a name as long as a worker's, a file. */
#define FILE_PATH_MAX (PATH_MAX + 256)

struct cgroup {
    char folder[PATH_MAX];
};

/* Files */

static int write_file(const char *folder, const char *name, const char *text, struct error *err)
{
    char path[FILE_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t length = strlen(text);
    bool is_written = fd >= 0 && write(fd, text, length) == (ssize_t)length;
    int code = is_written ? 0 : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    return code;
}

/* The lines of /proc/self/cgroup: "0::/path" of version 2, "4:memory:/path" of version 1. */
static bool find_membership(FILE *file, const char *controller, char out[PATH_MAX])
{
    char line[PATH_MAX + 256];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        if (strcmp(controllers + 1, controller != NULL ? controller : "") == 0 &&
            strlen(path) < PATH_MAX) {
            strcpy(out, path);
            return true;
        }
    }
    return false;
}

/* Whether a mount's type and options are those of the hierarchy. */
static bool is_hierarchy(const char *type, const char *options, const char *controller)
{
    if (controller == NULL)
        return strcmp(type, "cgroup2") == 0;
    if (strcmp(type, "cgroup") != 0)
        return false;
    size_t length = strlen(controller);
    for (const char *at = strstr(options, controller); at != NULL;
         at = strstr(at + 1, controller)) {
        if ((at == options || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* The first mount of the hierarchy, and which part of it is mounted there. */
static bool find_mount(FILE *file, const char *controller, char ret_root[PATH_MAX],
                       char ret_point[PATH_MAX])
{
    char line[3 * PATH_MAX];
    char type[64];
    char options[PATH_MAX];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *rest = strstr(line, " - ");
        if (rest != NULL && sscanf(rest, " - %63s %*s %4095s", type, options) == 2 &&
            is_hierarchy(type, options, controller) &&
            sscanf(line, "%*s %*s %*s %4095s %4095s", ret_root, ret_point) == 2)
            return true;
    }
    return false;
}

int cgroup_locate(const char *proc, const char *controller, char ret_folder[PATH_MAX],
                  struct error *err)
{
    char path[PATH_MAX];
    char membership[PATH_MAX];
    char root[PATH_MAX];
    char point[PATH_MAX];
    snprintf(path, sizeof path, "%s/cgroup", proc);
    FILE *file = fopen(path, "re");
    bool is_member = file != NULL && find_membership(file, controller, membership);
    if (file != NULL)
        fclose(file);
    snprintf(path, sizeof path, "%s/mountinfo", proc);
    file = fopen(path, "re");
    bool is_mounted = file != NULL && find_mount(file, controller, root, point);
    if (file != NULL)
        fclose(file);
    if (!is_member || !is_mounted)
        return error_set(err, ERR_UNSUPPORTED, "no control groups are mounted here");
    /* A container sees its part of the tree alone, but may be told its place in the whole. */
    size_t length = strcmp(root, "/") != 0 ? strlen(root) : 0;
    if (strncmp(membership, root, length) != 0)
        return error_set(err, ERR_UNSUPPORTED, "this process's control group is not mounted here");
    const char *below = strcmp(membership + length, "/") != 0 ? membership + length : "";
    if (strlen(point) + strlen(below) >= PATH_MAX)
        return error_set(err, ERR_UNSUPPORTED, "the control group's path is too long");
    stpcpy(stpcpy(ret_folder, point), below);
    return 0;
}

/* Whose it is */

static bool is_alone(const char *folder)
{
    char path[FILE_PATH_MAX];
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    long pid;
    bool is_alone = true;
    while (is_alone && fscanf(file, "%ld", &pid) == 1)
        is_alone = pid == (long)getpid();
    fclose(file);
    return is_alone;
}

/* systemd marks what it delegates. */
static bool is_delegated(const char *folder)
{
    static const char *const marks[] = {"user.delegate", "trusted.delegate"};
    char value = '0';
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (getxattr(folder, marks[i], &value, 1) == 1 && value == '1')
            return true;
    }
    return false;
}

/* The root of what a container sees of the tree. */
static bool is_mount_point(const char *folder)
{
    char path[FILE_PATH_MAX];
    struct stat own;
    struct stat above;
    snprintf(path, sizeof path, "%s/..", folder);
    return stat(folder, &own) == 0 && stat(path, &above) == 0 && own.st_dev != above.st_dev;
}

static int check_ours(const char *folder, struct error *err)
{
    char path[FILE_PATH_MAX];
    snprintf(path, sizeof path, "%s/cgroup.type", folder);
    if (access(path, F_OK) != 0)
        return error_set(err, ERR_UNSUPPORTED, "%s is the whole machine's", folder);
    if (!is_mount_point(folder) && !is_delegated(folder) && geteuid() == 0)
        return error_set(err, ERR_UNSUPPORTED, "%s is not delegated to us", folder);
    if (!is_alone(folder))
        return error_set(err, ERR_UNSUPPORTED, "%s has other processes in it", folder);
    return 0;
}

/* Leaves */

static void leaf_path(const struct cgroup *cgroup, const char *worker, char out[FILE_PATH_MAX])
{
    int length = snprintf(out, FILE_PATH_MAX, "%s/" WORKER_PREFIX "%s", cgroup->folder, worker);
    for (char *at = out + length - strlen(worker); *at != '\0'; at++)
        *at = *at == '/' ? '.' : *at;
}

static int set_limit(const char *leaf, uint64_t limit_bytes, struct error *err)
{
    char text[32] = "max";
    if (limit_bytes > 0)
        snprintf(text, sizeof text, "%" PRIu64, limit_bytes);
    int code = write_file(leaf, "memory.max", text, err);
    /* Absent where the kernel does not count swap. */
    if (code == 0)
        write_file(leaf, "memory.swap.max", limit_bytes > 0 ? "0" : "max", NULL);
    return code;
}

int cgroup_leaf_open(const struct cgroup *cgroup, const char *worker, uint64_t limit_bytes,
                     int *ret_fd, struct error *err)
{
    char leaf[FILE_PATH_MAX];
    char path[FILE_PATH_MAX + 16];
    leaf_path(cgroup, worker, leaf);
    if (mkdir(leaf, 0755) != 0 && errno != EEXIST)
        return error_set_errno(err, ERR_IO, errno, "cannot create %s", leaf);
    int code = set_limit(leaf, limit_bytes, err);
    /* What the worker started would be of no use without it. */
    if (code == 0)
        code = write_file(leaf, "memory.oom.group", "1", err);
    snprintf(path, sizeof path, "%s/cgroup.procs", leaf);
    int fd = code == 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (code == 0 && fd < 0)
        code = error_set_errno(err, ERR_IO, errno, "cannot open %s", path);
    if (code == 0)
        *ret_fd = fd;
    return code;
}

int cgroup_leaf_limit(const struct cgroup *cgroup, const char *worker, uint64_t limit_bytes,
                      struct error *err)
{
    char leaf[FILE_PATH_MAX];
    leaf_path(cgroup, worker, leaf);
    return set_limit(leaf, limit_bytes, err);
}

uint64_t cgroup_leaf_oom_kills(const struct cgroup *cgroup, const char *worker)
{
    char leaf[FILE_PATH_MAX];
    char path[FILE_PATH_MAX + 16];
    uint64_t count = 0;
    leaf_path(cgroup, worker, leaf);
    snprintf(path, sizeof path, "%s/memory.events", leaf);
    oom_counter_read(path, &count);
    return count;
}

void cgroup_sweep(const struct cgroup *cgroup)
{
    DIR *folder = opendir(cgroup->folder);
    if (folder == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, WORKER_PREFIX, strlen(WORKER_PREFIX)) == 0)
            unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR); /* not while it is populated */
    }
    closedir(folder);
}

void cgroup_leaf_close(const struct cgroup *cgroup, const char *worker)
{
    char leaf[FILE_PATH_MAX];
    leaf_path(cgroup, worker, leaf);
    write_file(leaf, "cgroup.kill", "1", NULL); /* since Linux 5.14 */
    cgroup_sweep(cgroup);
}

/* The folder */

static int enter(const char *folder, struct error *err)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    return write_file(folder, "cgroup.procs", pid, err);
}

static void leave(const char *folder, const char *supervisor_leaf)
{
    write_file(folder, "cgroup.subtree_control", "-memory", NULL);
    if (enter(folder, NULL) == 0)
        rmdir(supervisor_leaf);
}

static bool has_memory_controller(const char *folder)
{
    char path[FILE_PATH_MAX];
    snprintf(path, sizeof path, "%s/cgroup.controllers", folder);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char name[64];
    bool has_memory = false;
    while (!has_memory && fscanf(file, "%63s", name) == 1)
        has_memory = strcmp(name, "memory") == 0;
    fclose(file);
    return has_memory;
}

/* A folder with processes of its own cannot divide its memory: the supervisor goes first. */
static int divide(const char *folder, struct error *err)
{
    char leaf[FILE_PATH_MAX];
    if (!has_memory_controller(folder))
        return error_set(err, ERR_UNSUPPORTED, "%s has no memory controller", folder);
    snprintf(leaf, sizeof leaf, "%s/" SUPERVISOR_LEAF, folder);
    if (mkdir(leaf, 0755) != 0 && errno != EEXIST)
        return error_set_errno(err, ERR_UNSUPPORTED, errno, "cannot create %s", leaf);
    int code = enter(leaf, err);
    if (code == 0)
        code = write_file(folder, "cgroup.subtree_control", "+memory", err);
    if (code != 0)
        leave(folder, leaf);
    return code == 0 ? 0 : ERR_UNSUPPORTED;
}

int cgroup_open_at(const char *folder, struct cgroup **ret_cgroup, struct error *err)
{
    struct cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (cgroup == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    snprintf(cgroup->folder, sizeof cgroup->folder, "%s", folder);
    int code = divide(cgroup->folder, err);
    if (code != 0) {
        free(cgroup);
        return code;
    }
    cgroup_sweep(cgroup);
    *ret_cgroup = cgroup;
    return 0;
}

int cgroup_open(struct cgroup **ret_cgroup, struct error *err)
{
    char folder[PATH_MAX];
    int code = cgroup_locate("/proc/self", NULL, folder, err);
    if (code != 0)
        return code;
    /* One that was replaced in place is in its leaf already. */
    char *name = strrchr(folder, '/');
    if (name != NULL && strcmp(name, "/" SUPERVISOR_LEAF) == 0)
        *name = '\0';
    code = check_ours(folder, err);
    return code == 0 ? cgroup_open_at(folder, ret_cgroup, err) : code;
}

void cgroup_close(struct cgroup *cgroup)
{
    if (cgroup == NULL)
        return;
    char leaf[FILE_PATH_MAX];
    snprintf(leaf, sizeof leaf, "%s/" SUPERVISOR_LEAF, cgroup->folder);
    cgroup_sweep(cgroup);
    leave(cgroup->folder, leaf);
    free(cgroup);
}

const char *cgroup_folder(const struct cgroup *cgroup)
{
    return cgroup->folder;
}
