/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_marks: see gpu_marks.h. */
#include "supervisor/gpu/gpu_marks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"

#define FILE_NAME "bad_gpus"
#define BOOT_ID   "/proc/sys/kernel/random/boot_id"
/* A line for each unit, and the first. */
#define TEXT_MAX ((HARDWARE_GPU_MAX + 1) * (GPU_KEY_MAX + GPU_REASON_MAX + 2))

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

static uint64_t mark(struct gpu_board *board, const char *key, const char *reason, uint64_t now_ns)
{
    uint64_t marked = 0;
    char own[GPU_KEY_MAX];
    for (size_t i = 0; i < board->count; i++) {
        if (strcmp(gpu_unit_key(&board->units[i], own), key) == 0 &&
            gpu_unit_condemn(&board->units[i], reason, now_ns))
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
    while (text != NULL) {
        char *rest = strsep(&text, "\n");
        const char *key = strsep(&rest, " ");
        if (rest != NULL && rest[0] != '\0')
            marked |= mark(board, key, rest, now_ns);
    }
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
    char path[PATH_MAX], draft[PATH_MAX], key[GPU_KEY_MAX];
    struct buffer text = {0};
    size_t bad = 0;
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    snprintf(draft, sizeof draft, "%s/" FILE_NAME ".new", data_dir);
    buffer_printf(&text, "boot %s\n", boot);
    for (size_t i = 0; i < board->count; i++) {
        const struct gpu_unit *unit = &board->units[i];
        if (unit->state != GPU_STATE_BAD)
            continue;
        buffer_printf(&text, "%s %s\n", gpu_unit_key(unit, key), unit->reason);
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
