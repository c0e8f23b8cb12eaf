/* SPDX-License-Identifier: Apache-2.0 */
/* embed_input: see embed_input.h. An open file has a name in /proc, also when it has no other. */
#include "cli/embed_input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/buffer.h"
#include "models/sha256.h"
#include "models/text_lines.h"

#define READ_SIZE ((size_t)65536)
/* 64 bits of a digest: a job is not met by chance. */
#define ID_DIGITS 16

static int write_error(struct error *err)
{
    return error_set_errno(err, ERR_IO, errno, "could not write to a temporary file");
}

/* ---- from where it comes to a file ---- */

static int line_write(struct buffer *line, uint64_t number, FILE *to, struct error *err)
{
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    json_t *text = json_stringn(line->size > 0 ? (const char *)line->data : "", line->size);
    char *json = text != NULL ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    json_decref(text);
    if (json == NULL)
        return error_set(err, ERR_INVALID, "line %" PRIu64 " is not UTF-8", number);
    int code = fprintf(to, "%s\n", json) < 0 ? write_error(err) : 0;
    free(json);
    buffer_clear(line);
    return code;
}

/* Each line becomes a JSON string; line keeps the part of one that is not complete yet. */
static int lines_write(const char *data, size_t size, struct buffer *line, uint64_t *number,
                       FILE *to, struct error *err)
{
    while (size > 0) {
        const char *feed = memchr(data, '\n', size);
        size_t part = feed != NULL ? (size_t)(feed - data) : size;
        buffer_append(line, data, part);
        if (line->failed)
            return error_set(err, ERR_MEMORY, "out of memory");
        /* Escapes make a byte six at most. */
        if (line->size > TEXT_LINE_SIZE_MAX / 6 - 2)
            return error_set(err, ERR_INVALID, "line %" PRIu64 " is longer than %zu bytes", *number,
                             TEXT_LINE_SIZE_MAX / 6 - 2);
        if (feed != NULL) {
            int code = line_write(line, *number, to, err);
            if (code != 0)
                return code;
            ++*number;
            part++;
        }
        data += part;
        size -= part;
    }
    return 0;
}

static int spool(int from, const char *name, bool is_text, FILE *to, struct error *err)
{
    static char data[READ_SIZE];
    struct buffer line = {0};
    uint64_t number = 1;
    int code = 0;
    while (code == 0) {
        ssize_t got = read(from, data, sizeof data);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = error_set_errno(err, ERR_IO, errno, "cannot read %s", name);
        if (got <= 0)
            break;
        if (is_text)
            code = lines_write(data, (size_t)got, &line, &number, to, err);
        else if (fwrite(data, 1, (size_t)got, to) != (size_t)got)
            code = write_error(err);
    }
    if (code == 0 && line.size > 0)
        code = line_write(&line, number, to, err);
    buffer_fini(&line);
    return code == 0 && fflush(to) != 0 ? write_error(err) : code;
}

static int spool_to_file(int from, const char *name, bool is_text, int *ret_fd, struct error *err)
{
    FILE *to = tmpfile();
    if (to == NULL)
        return write_error(err);
    int code = spool(from, name, is_text, to, err);
    int fd = code == 0 ? fcntl(fileno(to), F_DUPFD_CLOEXEC, 0) : -1;
    fclose(to);
    if (code == 0 && fd < 0)
        return write_error(err);
    *ret_fd = fd;
    return code;
}

static bool is_regular(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static int open_texts(const char *path, bool is_text, int *ret_fd, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "cannot read %s", path);
    if (!is_stdin && !is_text && is_regular(fd)) {
        *ret_fd = fd;
        return 0;
    }
    int code = spool_to_file(fd, is_stdin ? "standard input" : path, is_text, ret_fd, err);
    if (!is_stdin)
        close(fd);
    return code;
}

/* ---- the input ---- */

int embed_input_open(const char *path, bool is_text, struct embed_input *ret_input,
                     struct error *err)
{
    struct embed_input input;
    int code = open_texts(path, is_text, &input.fd, err);
    if (code != 0)
        return code;
    snprintf(input.path, sizeof input.path, "/proc/self/fd/%d", input.fd);
    code = file_sha256(input.path, input.sha256, err);
    if (code != 0) {
        close(input.fd);
        return code;
    }
    *ret_input = input;
    return 0;
}

void embed_input_close(struct embed_input *input)
{
    close(input->fd);
}

void embed_job_id(const struct embed_input *input, const char *model, const char *format,
                  char ret_id[EMBED_JOB_ID_SIZE])
{
    struct buffer job = {0};
    uint8_t digest[SHA256_SIZE];
    buffer_printf(&job, "%s\n%s\n%s", input->sha256, model != NULL ? model : "", format);
    sha256_of_bytes(job.data, job.size, digest);
    strcpy(ret_id, "embed-");
    for (size_t i = 0; i < ID_DIGITS / 2; i++)
        snprintf(ret_id + strlen(ret_id), 3, "%02x", digest[i]);
    buffer_fini(&job);
}
