/* SPDX-License-Identifier: Apache-2.0 */
/* report_scrub: see report_scrub.h. */
#include "cli/report_scrub.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define REMOVED "(removed)"

/* Variables whose values are no secrets, and stand everywhere. A star ends a beginning. */
static const char *const plain_names[] = {
    "PATH",  "HOME",  "PWD",           "OLDPWD",         "SHELL",         "TERM",     "LANG",
    "LC_*",  "TZ",    "USER",          "LOGNAME",        "SHLVL",         "_",        "TMPDIR",
    "XDG_*", "HOST",  "EDITOR",        "PAGER",          "HOSTNAME",      "ARGOSY_*", "CUDA_*",
    "LS_*",  "SSH_*", "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET",
};

void report_scrub_fini(struct report_scrub *scrub)
{
    for (size_t i = 0; i < scrub->count; i++) {
        free(scrub->secrets[i].name);
        free(scrub->secrets[i].value);
    }
    free(scrub->secrets);
    *scrub = (struct report_scrub){0};
}

/* Learning */

static bool is_plain(const char *name)
{
    for (size_t i = 0; i < COUNT(plain_names); i++) {
        size_t size = strcspn(plain_names[i], "*");
        bool is_same = plain_names[i][size] == '*' ? strncmp(name, plain_names[i], size) == 0
                                                   : strcmp(name, plain_names[i]) == 0;
        if (is_same)
            return true;
    }
    return false;
}

static bool add(struct report_scrub *scrub, const char *name, const char *value, size_t size)
{
    if (size < REPORT_SECRET_MIN)
        return true;
    struct report_secret *grown =
        realloc(scrub->secrets, (scrub->count + 1) * sizeof scrub->secrets[0]);
    if (grown == NULL)
        return false;
    scrub->secrets = grown;
    struct report_secret *secret = &grown[scrub->count];
    *secret = (struct report_secret){strdup(name), strndup(value, size)};
    if (secret->name == NULL || secret->value == NULL) {
        free(secret->name);
        free(secret->value);
        return false;
    }
    scrub->count++;
    return true;
}

/* As a record of the log has it: quotes and backslashes behind a backslash. */
static bool add_escaped(struct report_scrub *scrub, const char *name, const char *value,
                        size_t size)
{
    struct buffer escaped = {0};
    for (size_t i = 0; i < size; i++) {
        if (value[i] == '"' || value[i] == '\\')
            buffer_append_byte(&escaped, '\\');
        buffer_append_byte(&escaped, (uint8_t)value[i]);
    }
    bool is_done = !escaped.failed && (escaped.size == size ||
                                       add(scrub, name, (const char *)escaped.data, escaped.size));
    buffer_fini(&escaped);
    return is_done;
}

bool report_scrub_learn(struct report_scrub *scrub, const char *name, const char *value)
{
    for (const char *line = value; *line != '\0';) {
        size_t size = strcspn(line, "\r\n");
        if (!add(scrub, name, line, size) || !add_escaped(scrub, name, line, size))
            return false;
        line += size;
        line += strspn(line, "\r\n");
    }
    return true;
}

bool report_scrub_config(struct report_scrub *scrub, struct fleet_config *config)
{
    for (size_t i = 0; i < config->group_count; i++) {
        const struct fleet_group *group = &config->groups[i];
        for (size_t j = 0; j < group->environment_count; j++) {
            struct fleet_variable *variable = &group->environment[j];
            if (!report_scrub_learn(scrub, variable->name, variable->value))
                return false;
            variable->value = REMOVED;
        }
    }
    if (strcmp(config->storage.vectors, "sqlite") != 0)
        config->storage.vectors = "postgres://" REMOVED;
    return true;
}

bool report_scrub_environment(struct report_scrub *scrub, const char *entries, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *entry = entries + at;
        size_t length = strnlen(entry, size - at);
        const char *equals = memchr(entry, '=', length);
        char *name = equals != NULL ? strndup(entry, (size_t)(equals - entry)) : NULL;
        char *value =
            equals != NULL ? strndup(equals + 1, length - (size_t)(equals + 1 - entry)) : NULL;
        bool is_done =
            equals == NULL || (name != NULL && value != NULL &&
                               (is_plain(name) || report_scrub_learn(scrub, name, value)));
        free(name);
        free(value);
        if (!is_done)
            return false;
        at += length + 1;
    }
    return true;
}

/* Texts */

/* The longest secret that begins at text; NULL: none. */
static const struct report_secret *find_secret(const struct report_scrub *scrub, const char *text,
                                               size_t size)
{
    const struct report_secret *found = NULL;
    for (size_t i = 0; i < scrub->count; i++) {
        const struct report_secret *secret = &scrub->secrets[i];
        size_t length = strlen(secret->value);
        if (secret->value[0] == text[0] && length <= size &&
            memcmp(secret->value, text, length) == 0 &&
            (found == NULL || length > strlen(found->value)))
            found = secret;
    }
    return found;
}

void report_scrub_text(const struct report_scrub *scrub, const char *text, size_t size,
                       struct buffer *out)
{
    size_t copied = 0;
    for (size_t at = 0; at < size;) {
        const struct report_secret *secret = find_secret(scrub, text + at, size - at);
        if (secret == NULL) {
            at++;
            continue;
        }
        buffer_append(out, text + copied, at - copied);
        buffer_printf(out, "${%s}", secret->name);
        at += strlen(secret->value);
        copied = at;
    }
    buffer_append(out, text + copied, size - copied);
}

/* Lines */

static bool begins_with(const char *line, size_t size, const char *text)
{
    return size >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

static bool is_own(const char *line, size_t size)
{
    return begins_with(line, size, "ts=") || begins_with(line, size, "{\"ts\":\"") ||
           begins_with(line, size, "event=assertion.failed ");
}

/* Where in a record the text begins that other code had it say; size when nowhere. */
static size_t find_said(const char *line, size_t size)
{
    static const char *const events[] = {
        "event=workflow.logged ",        "event=worker.reported ",
        "event=process.output ",         "\"event\":\"workflow.logged\"",
        "\"event\":\"worker.reported\"", "\"event\":\"process.output\""};
    for (size_t i = 0; i < COUNT(events); i++) {
        if (memmem(line, size, events[i], strlen(events[i])) == NULL)
            continue;
        const char *text = memmem(line, size, "text=\"", 6);
        const char *json = memmem(line, size, "\"text\":\"", 8);
        const char *said = text != NULL ? text + 6 : json != NULL ? json + 8 : line;
        return (size_t)(said - line);
    }
    return size;
}

static void print_left_out(uint64_t count, struct buffer *out)
{
    if (count > 0)
        buffer_printf(out, "[%llu line%s of others]\n", (unsigned long long)count,
                      count == 1 ? "" : "s");
}

void report_scrub_lines(const char *text, size_t size, bool with_output, struct buffer *out)
{
    const char *end = text + size;
    uint64_t left_out = 0;
    if (with_output) {
        buffer_append(out, text, size);
        return;
    }
    while (text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((feed != NULL ? feed : end) - text);
        if (!is_own(text, length)) {
            left_out++;
        } else {
            print_left_out(left_out, out);
            left_out = 0;
            size_t shown = find_said(text, length);
            buffer_append(out, text, shown);
            if (shown < length)
                buffer_printf(out, "[%zu bytes]", length - shown);
            buffer_append_byte(out, '\n');
        }
        text += length + 1;
    }
    print_left_out(left_out, out);
}

void report_scrub_status(json_t *status)
{
    const char *key;
    json_t *value;
    void *next;
    size_t index;
    json_array_foreach(status, index, value)
    {
        report_scrub_status(value);
    }
    if (!json_is_object(status))
        return;
    json_object_del(status, "progress"); /* what a heartbeat said */
    json_object_foreach_safe(status, next, key, value)
    {
        report_scrub_status(value);
    }
}
