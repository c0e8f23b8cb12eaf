/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_marks: see gpu_marks.h. */
#include "supervisor/gpu/gpu_marks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"

#define FILE_NAME "bad_gpus"
#define BOOT_ID   "/proc/sys/kernel/random/boot_id"
/* A name that is not known. */
#define NOT_KNOWN "-"
#define MINOR_MAX 16 /* an int's text */
/* A line for each unit, and the first. */
#define TEXT_MAX                                                                                   \
    ((HARDWARE_GPU_MAX + 1) * (sizeof(struct gpu_identity) + MINOR_MAX + GPU_REASON_MAX))

void gpu_marks_boot(char out[GPU_BOOT_MAX])
{
    out[0] = '\0';
    FILE *file = fopen(BOOT_ID, "re");
    if (file == NULL)
        return; /* marks then last as long as their file */
    if (fgets(out, GPU_BOOT_MAX, file) != NULL)
        out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

/* Takes the next name of a line; false when there is none that fits. */
static bool read_name(char **rest, char *out, size_t size)
{
    const char *name = strsep(rest, " ");
    if (name == NULL || strlen(name) >= size)
        return false;
    strcpy(out, strcmp(name, NOT_KNOWN) != 0 ? name : "");
    return true;
}

static bool read_identity(char **rest, struct gpu_identity *ret_identity)
{
    struct gpu_identity identity = {.minor = -1};
    char minor[MINOR_MAX];
    char *end = minor;
    if (!read_name(rest, identity.uuid, sizeof identity.uuid) ||
        !read_name(rest, identity.bus_id, sizeof identity.bus_id) ||
        !read_name(rest, minor, sizeof minor))
        return false;
    if (minor[0] != '\0')
        identity.minor = (int32_t)strtol(minor, &end, 10);
    *ret_identity = identity;
    return *end == '\0';
}

static uint64_t mark(struct gpu_board *board, char *line, uint64_t now_ns)
{
    uint64_t marked = 0;
    struct gpu_identity identity;
    if (!read_identity(&line, &identity) || line == NULL || line[0] == '\0')
        return 0;
    for (size_t i = 0; i < board->count; i++) {
        if (gpu_identity_is_same(&board->units[i].identity, &identity) &&
            gpu_unit_condemn(&board->units[i], line, now_ns))
            marked |= UINT64_C(1) << i;
    }
    return marked;
}

/* text is cut into its lines. */
static uint64_t read_text(char *text, const char *boot, struct gpu_board *board, uint64_t now_ns)
{
    uint64_t marked = 0;
    const char *line = strsep(&text, "\n");
    if (strncmp(line, "boot ", 5) != 0 || strcmp(line + 5, boot) != 0)
        return 0;
    while (text != NULL)
        marked |= mark(board, strsep(&text, "\n"), now_ns);
    return marked;
}

int gpu_marks_read(const char *data_dir, const char *boot, struct gpu_board *board, uint64_t now_ns,
                   uint64_t *ret_marked, struct error *err)
{
    char path[PATH_MAX], text[TEXT_MAX + 1];
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret_marked = 0;
        return 0;
    }
    ssize_t count = fd >= 0 ? read(fd, text, TEXT_MAX) : -1;
    int code = count >= 0 ? 0 : error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    if (fd >= 0)
        close(fd);
    if (code != 0)
        return code;
    text[count] = '\0';
    *ret_marked = read_text(text, boot, board, now_ns);
    return 0;
}

static void print_mark(const struct gpu_unit *unit, struct buffer *out)
{
    const char *const names[] = {unit->identity.uuid, unit->identity.bus_id};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        buffer_printf(out, "%s ", names[i][0] != '\0' ? names[i] : NOT_KNOWN);
    if (unit->identity.minor >= 0)
        buffer_printf(out, "%d %s\n", (int)unit->identity.minor, unit->reason);
    else
        buffer_printf(out, NOT_KNOWN " %s\n", unit->reason);
}

static bool write_file(const char *path, const struct buffer *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    /* Nothing is synced: marks do not outlive the machine's life. */
    bool is_written = write(fd, text->data, text->size) == (ssize_t)text->size;
    return close(fd) == 0 && is_written;
}

int gpu_marks_write(const char *data_dir, const char *boot, const struct gpu_board *board,
                    struct error *err)
{
    char path[PATH_MAX], draft[PATH_MAX];
    struct buffer text = {0};
    size_t bad = 0;
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    snprintf(draft, sizeof draft, "%s/" FILE_NAME ".new", data_dir);
    buffer_printf(&text, "boot %s\n", boot);
    for (size_t i = 0; i < board->count; i++) {
        const struct gpu_unit *unit = &board->units[i];
        if (unit->state != GPU_STATE_BAD)
            continue;
        print_mark(unit, &text);
        bad++;
    }
    int code = text.failed ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    bool is_done = bad == 0 ? unlink(path) == 0 || errno == ENOENT
                            : code == 0 && write_file(draft, &text) && rename(draft, path) == 0;
    if (code == 0 && !is_done)
        code = error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    buffer_fini(&text);
    return code;
}
