/* SPDX-License-Identifier: Apache-2.0 */
/* crash_folder: see crash_folder.h. */
#include "supervisor/log/crash_folder.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"

#define CORE_PLACES  "cores"
#define TEXT_SUFFIX  ".txt"
#define CORE_SUFFIX  ".core"
#define DRAFT_SUFFIX ".new"
#define CORE_PATTERN "/proc/sys/kernel/core_pattern"

/* More than the bounds leave, and what was left by another version. */
#define ENTRY_MAX 4096

/* Bounds */

struct entry {
    char name[NAME_MAX + 1];
    uint64_t size;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length > strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct entry *)right)->name, ((const struct entry *)left)->name);
}

/* The files of the folder with that suffix, newest first: names begin with the time. */
static size_t list_entries(DIR *files, const char *suffix, struct entry *entries)
{
    size_t count = 0;
    const struct dirent *file;
    rewinddir(files);
    while (count < ENTRY_MAX && (file = readdir(files)) != NULL) {
        struct stat info;
        if (!has_suffix(file->d_name, suffix) ||
            fstatat(dirfd(files), file->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        snprintf(entries[count].name, sizeof entries[count].name, "%s", file->d_name);
        /* A core dump has holes. */
        entries[count++].size = (uint64_t)info.st_blocks * 512;
    }
    qsort(entries, count, sizeof entries[0], compare_entries);
    return count;
}

static void remove_excess(DIR *files, const char *suffix, uint64_t bytes_max, struct entry *entries)
{
    size_t count = list_entries(files, suffix, entries);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].size;
        if (bytes > bytes_max || i >= CRASH_COUNT_MAX)
            unlinkat(dirfd(files), entries[i].name, 0);
    }
}

static int prune(const struct crash_folder *folder, struct error *err)
{
    struct entry *entries = malloc(ENTRY_MAX * sizeof *entries);
    if (entries == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    DIR *files = opendir(folder->path);
    int code =
        files != NULL ? 0 : error_set_errno(err, ERR_IO, errno, "cannot read %s", folder->path);
    if (code == 0) {
        remove_excess(files, TEXT_SUFFIX, folder->text_bytes_max, entries);
        remove_excess(files, CORE_SUFFIX, folder->core_bytes_max, entries);
        closedir(files);
    }
    free(entries);
    return code;
}

/* Removes what a writer that was killed has left. */
static int remove_drafts(const struct crash_folder *folder, struct error *err)
{
    DIR *files = opendir(folder->path);
    if (files == NULL)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", folder->path);
    const struct dirent *file;
    while ((file = readdir(files)) != NULL) {
        if (has_suffix(file->d_name, DRAFT_SUFFIX))
            unlinkat(dirfd(files), file->d_name, 0);
    }
    closedir(files);
    return 0;
}

/* Opening */

static void read_core_pattern(char out[256])
{
    int fd = open(CORE_PATTERN, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, out, 255) : 0;
    if (fd >= 0)
        close(fd);
    out[size > 0 ? size : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int make_folder(const char *path, struct error *err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? 0
               : error_set_errno(err, ERR_IO, errno, "cannot create %s", path);
}

int crash_folder_open(struct crash_folder *folder, const char *data_dir,
                      const struct fleet_supervisor *setting, struct error *err)
{
    struct crash_folder opened = {.writing_fds = {-1, -1}};
    char places[PATH_MAX];
    int size = snprintf(places, sizeof places, "%s/" CRASH_FOLDER "/" CORE_PLACES, data_dir);
    if (size + 256 >= PATH_MAX) /* a file's name has room */
        return error_set(err, ERR_IO, "data_dir: path too long");
    snprintf(opened.path, sizeof opened.path, "%s/" CRASH_FOLDER, data_dir);
    snprintf(opened.snapshot_path, sizeof opened.snapshot_path, "%s/" CRASH_SNAPSHOT, data_dir);
    crash_folder_set(&opened, setting);
    read_core_pattern(opened.core_pattern);
    int code = make_folder(opened.path, err);
    if (code == 0)
        code = make_folder(places, err);
    if (code == 0)
        code = remove_drafts(&opened, err);
    if (code == 0 && pipe2(opened.writing_fds, O_CLOEXEC) != 0)
        code = error_set_errno(err, ERR_IO, errno, "cannot open a pipe");
    if (code == 0)
        *folder = opened;
    return code;
}

void crash_folder_set(struct crash_folder *folder, const struct fleet_supervisor *setting)
{
    folder->text_bytes_max = (uint64_t)setting->log_keep_mb * LIMIT_MIB;
    folder->core_bytes_max = (uint64_t)setting->core_keep_mb * LIMIT_MIB;
}

void crash_folder_close(struct crash_folder *folder, int wait_ms)
{
    close(folder->writing_fds[1]);
    /* The other end closes when the last one that writes has ended. */
    struct pollfd writing = {.fd = folder->writing_fds[0], .events = 0};
    poll(&writing, 1, wait_ms);
    close(folder->writing_fds[0]);
    folder->writing_fds[0] = folder->writing_fds[1] = -1;
}

/* Core dumps */

static bool is_core_here(const struct crash_folder *folder)
{
    return folder->core_bytes_max > 0 && folder->core_pattern[0] != '\0' &&
           folder->core_pattern[0] != '|' && strchr(folder->core_pattern, '/') == NULL;
}

/* "20260131T235959.123456Z" */
static const char *flat_time(int64_t utc_us, char out[CLOCK_UTC_TEXT_SIZE])
{
    size_t length = 0;
    clock_utc_format(utc_us, out);
    for (const char *at = out; *at != '\0'; at++) {
        if (*at != '-' && *at != ':')
            out[length++] = *at;
    }
    out[length] = '\0';
    return out;
}

/* "cpu/0" as a part of a file's name. */
static const char *flat_name(const char *name, char out[128])
{
    snprintf(out, 128, "%s", name);
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '/')
            *at = '-';
    }
    return out;
}

int crash_folder_core_place(const struct crash_folder *folder, const char *name,
                            char ret_path[PATH_MAX], struct error *err)
{
    char flat[128];
    char path[2 * PATH_MAX];
    if (!is_core_here(folder)) {
        ret_path[0] = '\0';
        return 0;
    }
    snprintf(path, sizeof path, "%s/" CORE_PLACES "/%s", folder->path, flat_name(name, flat));
    int code = make_folder(path, err);
    if (code == 0)
        snprintf(ret_path, PATH_MAX, "%.*s", PATH_MAX - 1, path);
    return code;
}

uint64_t crash_folder_core_limit(const struct crash_folder *folder)
{
    return folder->core_bytes_max > 0 ? folder->core_bytes_max : 1;
}

/* Its name is the kernel's affair, and other files may lie there: the content tells. */
static bool is_core(int folder_fd, const char *name)
{
    unsigned char head[EI_NIDENT + 2] = {0};
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, head, sizeof head);
    close(fd);
    uint16_t type;
    memcpy(&type, head + EI_NIDENT, sizeof type);
    return size == (ssize_t)sizeof head && memcmp(head, ELFMAG, SELFMAG) == 0 && type == ET_CORE;
}

/* Moves the core dumps in the process's place to path (a second one is of a child of its: it gets a
 * number). How many there were. */
static int move_cores(const struct crash_folder *folder, const struct crash *crash,
                      const char *base)
{
    char place[PATH_MAX];
    if (crash_folder_core_place(folder, crash->name, place, NULL) != 0 || place[0] == '\0')
        return 0;
    DIR *entries = opendir(place);
    int count = 0;
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        char target[2 * PATH_MAX];
        if (!is_core(dirfd(entries), entry->d_name))
            continue;
        snprintf(target, sizeof target, count == 0 ? "%s" CORE_SUFFIX : "%s-%d" CORE_SUFFIX, base,
                 count);
        count += renameat(dirfd(entries), entry->d_name, AT_FDCWD, target) == 0;
    }
    if (entries != NULL)
        closedir(entries);
    return count;
}

/* Writing */

static void print_core(const struct crash_folder *folder, const struct crash *crash, int core_count,
                       struct buffer *out)
{
    if (core_count > 0)
        buffer_printf(out, "core      beside this file (" CORE_SUFFIX ")\n");
    else if (!WIFSIGNALED(crash->status) || !WCOREDUMP(crash->status))
        buffer_printf(out, "core      none%s\n",
                      folder->core_bytes_max == 0 ? " (supervisor.core_keep_mb is 0)" : "");
    else
        buffer_printf(out, "core      went where " CORE_PATTERN " says: %s\n",
                      folder->core_pattern);
}

static void print_crash(const struct crash_folder *folder, const struct crash *crash,
                        int core_count, struct buffer *out)
{
    char when[CLOCK_UTC_TEXT_SIZE];
    buffer_printf(out, "died      %s\n", clock_utc_format(crash->died_utc_us, when));
    buffer_printf(out, "node      %s\n", crash->node);
    buffer_printf(out, "process   %s\n", crash->name);
    buffer_printf(out, "program   %s\n", crash->program);
    buffer_printf(out, "pid       %d\n", (int)crash->pid);
    buffer_printf(out, "instance  %s\n", crash->instance_id);
    buffer_printf(out, "reason    %s\n", crash->reason);
    buffer_printf(out, "lived     %llu.%03llu s\n", (unsigned long long)(crash->life_ns / NS_PER_S),
                  (unsigned long long)(crash->life_ns / NS_PER_MS % 1000));
    buffer_printf(out, "deaths    %u\n", crash->death_count);
    print_core(folder, crash, core_count, out);
    buffer_append_text(out, "\nlast lines\n");
    buffer_append(out, crash->last_lines->data, crash->last_lines->size);
}

/* Writes a file whole or not at all. */
static int write_file(const char *path, const struct buffer *text, struct error *err)
{
    char draft[PATH_MAX + 8];
    snprintf(draft, sizeof draft, "%s" DRAFT_SUFFIX, path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_written = fd >= 0 && !text->failed &&
                      write(fd, text->data, text->size) == (ssize_t)text->size &&
                      rename(draft, path) == 0;
    int code = is_written ? 0 : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    if (code != 0)
        unlink(draft);
    return code;
}

int crash_folder_write(const struct crash_folder *folder, const struct crash *crash,
                       const char *path, struct error *err)
{
    char base[PATH_MAX];
    struct buffer text = {0};
    snprintf(base, sizeof base, "%.*s", (int)(strlen(path) - strlen(TEXT_SUFFIX)), path);
    int core_count = move_cores(folder, crash, base);
    print_crash(folder, crash, core_count, &text);
    int code = write_file(path, &text, err);
    buffer_fini(&text);
    int prune_code = prune(folder, code == 0 ? err : NULL);
    return code != 0 ? code : prune_code;
}

/* In a child */

/* Closes all descriptors but the standard ones and two. */
static void keep_only(unsigned one, unsigned other)
{
    unsigned low = one < other ? one : other;
    unsigned high = one < other ? other : one;
    if (low > 3)
        syscall(SYS_close_range, 3, low - 1, 0);
    if (high > low + 1)
        syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0u, 0);
}

/* Forks; in the child nothing is left of ours but standard error and the pipe that tells of it.
 * Returns as fork does, when the child has closed the rest: an epoll goes on telling of a
 * descriptor that we have closed as long as somebody has it open. */
static pid_t fork_writer(const struct crash_folder *folder)
{
    int closed_fds[2];
    if (pipe2(closed_fds, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        alarm(CRASH_WRITE_S);
        keep_only((unsigned)folder->writing_fds[1], (unsigned)closed_fds[1]);
        close(closed_fds[1]);
        return 0;
    }
    int fork_errno = errno;
    char byte;
    close(closed_fds[1]);
    while (pid > 0 && read(closed_fds[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(closed_fds[0]);
    errno = fork_errno;
    return pid;
}

_Noreturn static void end_writer(int code, const struct error *err)
{
    char quoted[ERROR_TEXT_MAX + 8];
    if (code != 0)
        log_error("crash.unkept", "error=%s", log_quote(err->text, quoted, sizeof quoted));
    _exit(code == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int crash_folder_keep(struct crash_folder *folder, const struct crash *crash,
                      char ret_path[PATH_MAX], struct error *err)
{
    char when[CLOCK_UTC_TEXT_SIZE];
    char flat[128];
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s-%s-%d" TEXT_SUFFIX, folder->path,
             flat_time(crash->died_utc_us, when), flat_name(crash->name, flat), (int)crash->pid);
    pid_t pid = fork_writer(folder);
    if (pid == 0) {
        struct error failure = {0};
        end_writer(crash_folder_write(folder, crash, path, &failure), &failure);
    }
    if (pid < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot fork");
    snprintf(ret_path, PATH_MAX, "%.*s", PATH_MAX - 1, path);
    return 0;
}

int crash_folder_snap(struct crash_folder *folder, const struct buffer *text, struct error *err)
{
    pid_t pid = fork_writer(folder);
    if (pid == 0) {
        struct error failure = {0};
        end_writer(write_file(folder->snapshot_path, text, &failure), &failure);
    }
    return pid > 0 ? 0 : error_set_errno(err, ERR_IO, errno, "cannot fork");
}
