/* SPDX-License-Identifier: Apache-2.0 */
/* input: see input.h. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/limits.h"

#define READ_SIZE ((size_t)65536)

const struct option input_options[] = {
    {"input", NULL, 'i', OPTION_LIST, "JSON",
     "an argument of the workflow as JSON; - reads standard input; may be repeated", NULL},
    {"input-file", NULL, 0, OPTION_LIST, "FILE", "an argument as JSON from a file; may be repeated",
     NULL},
    {0},
};

int input_read_file(const char *path, size_t limit, struct buffer *out, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "cannot read %s", path);
    size_t start = out->size;
    int code = 0;
    for (;;) {
        uint8_t *room = buffer_reserve(out, READ_SIZE);
        if (room == NULL) {
            code = error_set(err, ERR_MEMORY, "cannot read %s: out of memory", path);
            break;
        }
        ssize_t got = read(fd, room, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
        if (got <= 0)
            break;
        out->size += (size_t)got;
        if (out->size - start > limit) {
            code = error_set(err, ERR_INVALID, "%s is over the limit of %zu bytes",
                             is_stdin ? "standard input" : path, limit);
            break;
        }
    }
    if (!is_stdin)
        close(fd);
    if (code != 0)
        out->size = start;
    return code;
}

int input_check_json(const char *source, const char *text, size_t size, struct error *err)
{
    json_error_t at;
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (value == NULL)
        return error_set(err, ERR_INVALID,
                         "%s is not JSON: line %d, column %d: %s (a text is written with its "
                         "quotes, as in '\"hello\"')",
                         source, at.line, at.column, at.text);
    json_decref(value);
    return 0;
}

static int input_add(struct inputs *inputs, const struct option_value *given, struct error *err)
{
    if (inputs->count == INPUTS_MAX)
        return error_set(err, ERR_INVALID, "more than %d inputs", INPUTS_MAX);
    struct buffer *document = &inputs->documents[inputs->count++];
    bool is_file = strcmp(given->option->name, "input-file") == 0;
    const char *source = is_file ? given->text : "--input";
    if (is_file || strcmp(given->text, "-") == 0) {
        int code = input_read_file(given->text, LIMIT_PAYLOAD_SIZE, document, err);
        if (code != 0)
            return code;
        if (strcmp(given->text, "-") == 0)
            source = "standard input";
    } else {
        buffer_append_text(document, given->text);
        if (document->failed)
            return error_set(err, ERR_MEMORY, "out of memory");
        if (document->size > LIMIT_PAYLOAD_SIZE)
            return error_set(err, ERR_INVALID, "%s is over the limit of %zu bytes", source,
                             (size_t)LIMIT_PAYLOAD_SIZE);
    }
    return input_check_json(source, buffer_text(document), document->size, err);
}

int inputs_read(const struct parsed *parsed, struct inputs *ret_inputs, struct error *err)
{
    struct inputs inputs = {0};
    for (size_t i = 0; i < parsed->value_count; i++) {
        const struct option_value *given = &parsed->values[i];
        if (given->option != &input_options[0] && given->option != &input_options[1])
            continue;
        int code = input_add(&inputs, given, err);
        if (code != 0) {
            inputs_fini(&inputs);
            return code;
        }
    }
    *ret_inputs = inputs;
    return 0;
}

void inputs_fini(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        buffer_fini(&inputs->documents[i]);
    *inputs = (struct inputs){0};
}
