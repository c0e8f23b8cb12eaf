/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fleet_config: any bytes are a configuration or an error; what is accepted prints, in effect
 * and as written, to a text that loads to the same. NUL separates files: the first is /etc/0.yaml,
 * the others are /etc/1.yaml to /etc/9.yaml, and the same again in the folder /etc/d. No file of
 * the machine is read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/fleet_change.h"
#include "common/fleet_config.h"
#include "common/fleet_include.h"
#include "common/yaml_schema.h"

#define FILE_MAX 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct part {
    const uint8_t *data;
    size_t size;
};

struct parts {
    struct fleet_reader reader; /* first */
    struct part parts[FILE_MAX];
    size_t count;
};

static const struct hardware machine = {.cpus = 4, .gpu_count = 2};

static int read_part(const struct fleet_reader *reader, const char *path, struct arena *arena,
                     const char **ret_path, struct buffer *text, struct error *err)
{
    const struct parts *parts = (const struct parts *)reader;
    const char *name = strncmp(path, "/etc/d/", 7) == 0 ? path + 7 : path + 5;
    size_t index = (size_t)(name[0] - '0');
    if (strncmp(path, "/etc/", 5) != 0 || index >= parts->count || strcmp(name + 1, ".yaml") != 0)
        return error_set(err, ERR_NOT_FOUND, "no such file");
    *ret_path = arena_strdup(arena, path);
    if (*ret_path == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    buffer_append(text, parts->parts[index].data, parts->parts[index].size);
    return 0;
}

static int list_part(const struct fleet_reader *reader, const char *path, struct arena *arena,
                     const char *const **ret_names, size_t *ret_count, struct error *err)
{
    static const char *const names[] = {"1.yaml", "2.yaml", ".3.yaml", "no"};
    (void)reader, (void)arena;
    if (strcmp(path, "/etc/d") != 0)
        return error_set(err, ERR_NOT_FOUND, "no folder");
    *ret_names = names;
    *ret_count = sizeof names / sizeof names[0];
    return 0;
}

static void split(const uint8_t *data, size_t size, struct parts *parts)
{
    while (parts->count < FILE_MAX) {
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;
        parts->parts[parts->count++] = (struct part){data, length};
        if (end == NULL)
            return;
        data += length + 1;
        size -= length + 1;
    }
}

static struct fleet_config *load_again(struct buffer *text)
{
    struct fleet_config *again = NULL;
    struct error err = {0};
    ASSERT(!text->failed);
    if (fleet_config_parse(buffer_text(text), text->size, "printed", "/etc", &machine, &again,
                           &err) != 0) {
        fprintf(stderr, "%s\n%s", err.text, buffer_text(text));
        abort();
    }
    return again;
}

static void expect_same(const struct fleet_config *config, const struct fleet_config *again)
{
    struct fleet_change change;
    struct error err = {0};
    if (fleet_change_compare(config, again, &change, &err) != 0 || change.key_count > 0) {
        fprintf(stderr, "%s%s\n", err.text, buffer_text(&change.text));
        abort();
    }
    fleet_change_fini(&change);
}

static void check_printed(const struct fleet_config *config)
{
    struct buffer text = {0};
    fleet_config_print(config, &text);
    struct fleet_config *again = load_again(&text);
    expect_same(config, again);
    fleet_config_destroy(again);

    buffer_clear(&text);
    yaml_print_tree(config->tree, true, &text);
    again = load_again(&text);
    if (config->file_count == 1) /* paths in /etc/d start there */
        expect_same(config, again);
    fleet_config_destroy(again);
    buffer_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts parts = {.reader = {read_part, list_part}};
    struct yaml_problems problems = {0};
    struct fleet_config *config = NULL;
    struct error err = {0};
    split(data, size, &parts);
    struct fleet_config_request request = {
        .path = "/etc/0.yaml", .hardware = &machine, .reader = &parts.reader};
    int code = fleet_config_read(&request, &config, &err);
    if (code == 0)
        check_printed(config);
    else
        ASSERT(err.code == code && err.text[0] != '\0');
    fleet_config_destroy(config);

    /* Whether one error is wanted or all does not change what is accepted. */
    config = NULL;
    request.problems = &problems;
    ASSERT((fleet_config_read(&request, &config, &err) == 0) == (code == 0));
    ASSERT(code != 0 || problems.count == 0);
    fleet_config_destroy(config);
    yaml_problems_fini(&problems);
    return 0;
}
