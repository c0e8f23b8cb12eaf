/* SPDX-License-Identifier: Apache-2.0 */
/* handover_text: see handover_text.h. Blanks in texts are written as "\x1f", which no text has. */
#include "supervisor/handover_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BLANK        '\x1f'

/* The longest: a path, and some numbers. */
#define LINE_TEXT_MAX (PATH_MAX + 1024)

enum type { TYPE_INT, TYPE_BOOL, TYPE_U64, TYPE_TEXT };

struct field {
    const char *key;
    enum type type;
    size_t offset;
    size_t size; /* TEXT: room */
};

#define INT(type, member)                                                                          \
    {                                                                                              \
#member, TYPE_INT, offsetof(struct type, member), 0                                        \
    }
#define BOOL(type, member)                                                                         \
    {                                                                                              \
#member, TYPE_BOOL, offsetof(struct type, member), 0                                       \
    }
#define U64(type, member)                                                                          \
    {                                                                                              \
#member, TYPE_U64, offsetof(struct type, member), 0                                        \
    }
#define TEXT(type, member)                                                                         \
    {                                                                                              \
#member, TYPE_TEXT, offsetof(struct type, member), sizeof((struct type *)0)->member        \
    }

static const struct field node_fields[] = {
    TEXT(handover_node, config_path),  INT(handover_node, lock_fd),
    INT(handover_node, http_fd),       BOOL(handover_node, is_announced),
    U64(handover_node, last_sequence),
};
static const struct field process_fields[] = {
    TEXT(handover_process, name),          INT(handover_process, pid),
    INT(handover_process, pidfd),          INT(handover_process, ready_fd),
    INT(handover_process, progress_fd),    INT(handover_process, lifeline_fd),
    INT(handover_process, link_fd),        INT(handover_process, log_fd),
    TEXT(handover_process, instance_id),   TEXT(handover_process, device),
    U64(handover_process, started_ns),     INT(handover_process, state),
    INT(handover_process, cause),          BOOL(handover_process, is_stopping),
    BOOL(handover_process, was_ready),     BOOL(handover_process, has_progress),
    U64(handover_process, ready_ns),       U64(handover_process, progress_ns),
    U64(handover_process, deadline_ns),    BOOL(handover_process, is_drained),
    BOOL(handover_process, is_drain_kept), BOOL(handover_process, is_stale),
    INT(handover_process, restarts[0]),    INT(handover_process, restarts[1]),
    INT(handover_process, restarts[2]),    INT(handover_process, restarts[3]),
    INT(handover_process, restarts[4]),    INT(handover_process, restarts[5]),
};
_Static_assert(DEATH_KIND_COUNT == 6, "each kind of death has its key");
static const struct field death_fields[] = {
    U64(handover_death, at_ns), U64(handover_death, healthy_ns), INT(handover_death, status),
    INT(handover_death, cause), INT(handover_death, memory_mb),  INT(handover_death, memory_max_mb),
};
static const struct field scale_fields[] = {
    TEXT(handover_scale, group),
    INT(handover_scale, processes),
    INT(handover_scale, configured),
    BOOL(handover_scale, is_kept),
};
static const struct field lost_fields[] = {
    U64(handover_lost, sequence),
    INT(handover_lost, pid),
    TEXT(handover_lost, instance_id),
    TEXT(handover_lost, reason),
};

struct table {
    const char *word;
    const struct field *fields;
    size_t count;
};

static const struct table tables[HANDOVER_KIND_COUNT] = {
    [HANDOVER_NODE] = {"node", node_fields, COUNT(node_fields)},
    [HANDOVER_PROCESS] = {"process", process_fields, COUNT(process_fields)},
    [HANDOVER_DEATH] = {"death", death_fields, COUNT(death_fields)},
    [HANDOVER_SCALE] = {"scale", scale_fields, COUNT(scale_fields)},
    [HANDOVER_LOST] = {"lost", lost_fields, COUNT(lost_fields)},
};

/* All members of the union begin where it does. */
static void *place_of(struct handover_line *line, const struct field *field)
{
    return (char *)&line->node + field->offset;
}

/* Writing */

static void print_text(const char *text, struct buffer *out)
{
    for (; *text != '\0'; text++)
        buffer_append_byte(out, *text == ' ' ? BLANK : *text);
}

void handover_line_print(const struct handover_line *line, struct buffer *out)
{
    const struct table *table = &tables[line->kind];
    struct handover_line copy = *line;
    buffer_append_text(out, table->word);
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        const void *place = place_of(&copy, field);
        buffer_printf(out, " %s=", field->key);
        switch (field->type) {
        case TYPE_INT:
            buffer_printf(out, "%d", *(const int *)place);
            break;
        case TYPE_BOOL:
            buffer_printf(out, "%d", *(const bool *)place ? 1 : 0);
            break;
        case TYPE_U64:
            buffer_printf(out, "%" PRIu64, *(const uint64_t *)place);
            break;
        case TYPE_TEXT:
            print_text(place, out);
            break;
        }
    }
    buffer_append_byte(out, '\n');
}

/* Reading */

static bool read_int(const char *text, int *ret_value)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < INT_MIN || value > INT_MAX)
        return false;
    *ret_value = (int)value;
    return true;
}

static bool read_u64(const char *text, uint64_t *ret_value)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret_value = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool read_value(const struct field *field, char *text, void *place)
{
    int number;
    switch (field->type) {
    case TYPE_INT:
        return read_int(text, place);
    case TYPE_BOOL:
        if (!read_int(text, &number) || (number != 0 && number != 1))
            return false;
        *(bool *)place = number == 1;
        return true;
    case TYPE_U64:
        return read_u64(text, place);
    case TYPE_TEXT:
        if (strlen(text) >= field->size)
            return false;
        for (char *at = text; *at != '\0'; at++)
            *at = (char)(*at == BLANK ? ' ' : *at);
        strcpy(place, text);
        return true;
    }
    return false;
}

static const struct field *find_field(const struct table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->fields[i].key, key) == 0)
            return &table->fields[i];
    }
    return NULL;
}

static int read_pair(const struct table *table, char *pair, struct handover_line *line,
                     struct error *err)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL)
        return error_set(err, ERR_INVALID, "handover: \"%.64s\" is no pair", pair);
    *equals = '\0';
    const struct field *field = find_field(table, pair);
    if (field == NULL)
        return error_set(err, ERR_INVALID, "handover: %s has no key \"%.64s\"", table->word, pair);
    if (!read_value(field, equals + 1, place_of(line, field)))
        return error_set(err, ERR_INVALID, "handover: %s: %s: \"%.64s\" is no such value",
                         table->word, pair, equals + 1);
    return 0;
}

/* What another program wrote is believed only as far as it cannot break this one. */
static int check_line(const struct handover_line *line, struct error *err)
{
    const struct handover_process *process = &line->process;
    if (line->kind == HANDOVER_PROCESS) {
        if (process->state < 0 || process->state > LIFECYCLE_STOPPED || process->cause < 0 ||
            process->cause > DEATH_CAUSE_OOM_MAYBE)
            return error_set(err, ERR_INVALID, "handover: process %s: unknown state or cause",
                             process->name);
        if (process->pid < 0 || (process->pid != 0 && process->pidfd < 0))
            return error_set(err, ERR_INVALID, "handover: process %s: there is no such process",
                             process->name);
    }
    if (line->kind == HANDOVER_DEATH &&
        (line->death.cause < 0 || line->death.cause > DEATH_CAUSE_OOM_MAYBE))
        return error_set(err, ERR_INVALID, "handover: a death of an unknown cause");
    if (line->kind == HANDOVER_SCALE &&
        (line->scale.processes < 0 || line->scale.processes > FLEET_PROCESSES_MAX ||
         line->scale.configured < 0 || line->scale.configured > FLEET_PROCESSES_MAX))
        return error_set(err, ERR_INVALID, "handover: group %s: too many processes",
                         line->scale.group);
    return 0;
}

int handover_line_read(const char *text, size_t size, struct handover_line *ret_line,
                       struct error *err)
{
    char copy[LINE_TEXT_MAX];
    char *rest = NULL;
    if (size >= sizeof copy || memchr(text, '\0', size) != NULL)
        return error_set(err, ERR_INVALID, "handover: a line is too long, or has a zero byte");
    memcpy(copy, text, size);
    copy[size] = '\0';
    const char *word = strtok_r(copy, " ", &rest);
    struct handover_line line = {.kind = HANDOVER_NODE};
    memset(&line, 0, sizeof line);
    while ((int)line.kind < HANDOVER_KIND_COUNT &&
           (word == NULL || strcmp(word, tables[line.kind].word) != 0))
        line.kind++;
    if ((int)line.kind == HANDOVER_KIND_COUNT)
        return error_set(err, ERR_INVALID, "handover: unknown word \"%.64s\"",
                         word != NULL ? word : "");
    int code = 0;
    char *pair;
    while (code == 0 && (pair = strtok_r(NULL, " ", &rest)) != NULL)
        code = read_pair(&tables[line.kind], pair, &line, err);
    if (code == 0)
        code = check_line(&line, err);
    if (code == 0)
        *ret_line = line;
    return code;
}
