/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_page: docs/configuration.md has a row for every key of the schema, and what stands
 * there of its values, its default and a reload is what the programs do. A row begins
 *
 *     | `key` | value | default | reload |
 *
 * A default in backticks is compared; other words are left to the reader. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet_change.h"
#include "common/fleet_config.h"
#include "common/fleet_schema.h"

#define COLUMNS 4

static const struct hardware machine = {.cpus = 2};

/* A default config in which each list has an element that the key has a place in. */
static const char elements[] = "storage: {vectors: \"postgres://db/a\"}\n"
                               "queues: [{name: q}]\n"
                               "codecs: [{name: zstd}, {name: aes-gcm, key_files: [k]}]\n"
                               "groups: [{name: cpu, kind: cpu, environment: [{name: A, value: "
                               "b}]}, {name: gpu, kind: gpu}]\n";

struct page {
    char *text;
    size_t rows; /* that the schema asked for */
};

static char *read_page(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/docs/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

/* The cells of the row of that key; false when there is none. */
static bool find_row(const struct page *page, const char *key, char cells[COLUMNS][512])
{
    char start[160];
    snprintf(start, sizeof start, "\n| `%s` |", key);
    const char *at = strstr(page->text, start);
    if (at == NULL)
        return false;
    at += 2;
    for (size_t i = 0; i < COLUMNS; i++) {
        const char *end = strchr(at, '|');
        assert_non_null(end);
        while (*at == ' ')
            at++;
        size_t length = (size_t)(end - at);
        while (length > 0 && at[length - 1] == ' ')
            length--;
        assert_true(length < sizeof cells[i]);
        memcpy(cells[i], at, length);
        cells[i][length] = '\0';
        at = end + 1;
    }
    return true;
}

/* --- what a row must say --------------------------------------------------------------------- */

static void value_text(const struct yaml_field *field, struct buffer *out)
{
    static const char *const names[] = {
        [YAML_TYPE_TEXT] = "text",
        [YAML_TYPE_PATH] = "path",
        [YAML_TYPE_BOOL] = "`true`, `false`",
        [YAML_TYPE_TEXTS] = "texts",
        [YAML_TYPE_PATHS] = "paths",
        [YAML_TYPE_LIST] = "list",
        [YAML_TYPE_TREE] = "map",
        [YAML_TYPE_SPENT] = "paths",
    };
    if (field->words != NULL) {
        for (size_t i = 0; field->words[i] != NULL; i++)
            buffer_printf(out, "%s`%s`", i > 0 ? ", " : "", field->words[i]);
    } else if (field->type == YAML_TYPE_INT || field->type == YAML_TYPE_NUMBER) {
        buffer_printf(out, "%d to %d", field->min, field->max);
    } else {
        buffer_append_text(out, names[field->type]);
    }
}

static void add_word(struct buffer *out, const char *first, const char *word)
{
    buffer_printf(out, "%s%s", out->size == 0 ? first : ", ", word);
}

/* "live", "restarts storage, link", "live, restarts ...", "next command", "stop", "-". */
static void reload_text(const struct yaml_field *field, bool is_group, struct buffer *out)
{
    unsigned takes = field->change;
    struct buffer restarts = {0};
    if (takes & FLEET_TAKES_ENGINE_RESTART)
        add_word(&restarts, "restarts ", "engine");
    if (takes & FLEET_TAKES_STORAGE_RESTART)
        add_word(&restarts, "restarts ", "storage");
    if (takes & FLEET_TAKES_LINK_RESTART)
        add_word(&restarts, "restarts ", "link");
    if (takes & FLEET_TAKES_GROUP_RESTART)
        add_word(&restarts, "restarts ", is_group ? "the group" : "workers");
    if (takes & FLEET_TAKES_GPU_RESTART)
        add_word(&restarts, "restarts ", "gpu workers");
    if (takes & (FLEET_TAKES_SUPERVISOR | FLEET_TAKES_ENGINE_LIVE | FLEET_TAKES_GROUP_LIVE))
        add_word(out, "", "live");
    if (restarts.size > 0)
        add_word(out, "", buffer_text(&restarts));
    if (takes & FLEET_TAKES_NOTHING)
        add_word(out, "", "next command");
    if (takes & FLEET_TAKES_STOP)
        add_word(out, "", "stop");
    if (takes == 0)
        add_word(out, "", "-");
    buffer_fini(&restarts);
}

static void expect_cell(const char *key, const char *column, const char *cell, struct buffer *text)
{
    if (strcmp(cell, buffer_text(text)) != 0)
        fail_msg("docs/configuration.md: %s: %s is \"%s\", not \"%s\"", key, column,
                 buffer_text(text), cell);
    buffer_clear(text);
}

/* object: NULL where no element has the key. */
static void check_row(struct page *page, const struct yaml_field *field, const char *key,
                      const void *object)
{
    char cells[COLUMNS][512];
    struct buffer text = {0};
    struct buffer reload = {0};
    value_text(field, &text);
    reload_text(field, strncmp(key, "groups[].", 9) == 0, &reload);
    if (!find_row(page, key, cells))
        fail_msg("docs/configuration.md lacks the row | `%s` | %s | default | %s | meaning |", key,
                 buffer_text(&text), buffer_text(&reload));
    page->rows++;
    expect_cell(key, "the value", cells[1], &text);
    expect_cell(key, "reload", cells[3], &reload);
    bool is_line = field->type != YAML_TYPE_LIST && field->type != YAML_TYPE_SPENT;
    if (cells[2][0] == '`') {
        assert_true(is_line && object != NULL && !yaml_is_absent(field, object));
        buffer_append_byte(&text, '`');
        yaml_print_value(field, object, &text);
        buffer_append_byte(&text, '`');
        expect_cell(key, "the default", cells[2], &text);
    }
    buffer_fini(&text);
    buffer_fini(&reload);
}

static void check_map(struct page *page, const struct yaml_schema *schema, const char *prefix,
                      const char *first, size_t count)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct yaml_field *field = &schema->fields[i];
        char key[128];
        snprintf(key, sizeof key, "%s%s", prefix, field->key);
        const char *object = NULL;
        for (size_t k = 0; k < count && object == NULL; k++) {
            const char *element = first + k * schema->size;
            if (field->excuse == NULL || field->excuse(element) == NULL)
                object = element;
        }
        if (field->type == YAML_TYPE_MAP) {
            strcat(key, ".");
            check_map(page, field->schema, key, object + field->offset, 1);
            continue;
        }
        check_row(page, field, key, object);
        if (field->type != YAML_TYPE_LIST || strcmp(key, "factory") == 0)
            continue;
        assert_non_null(object);
        strcat(key, "[].");
        check_map(page, field->schema, key,
                  *(const char *const *)(const void *)(object + field->offset),
                  *(const size_t *)(const void *)(object + field->count_offset));
    }
}

static void every_key_has_its_row(void **state)
{
    (void)state;
    struct page page = {.text = read_page("configuration.md")};
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (fleet_config_parse(elements, strlen(elements), "f", "/etc", &machine, &config, &err) != 0)
        fail_msg("%s", err.text);
    check_map(&page, &fleet_schema, "", (const char *)config, 1);
    size_t rows = 0;
    for (const char *at = page.text; (at = strstr(at, "\n| `")) != NULL; at++)
        rows++;
    if (rows != page.rows)
        fail_msg("%zu rows for %zu keys", rows, page.rows);
    fleet_config_destroy(config);
    free(page.text);
}

/* The factory has a page of its own. */
static void every_key_of_the_factory_is_named(void **state)
{
    (void)state;
    char *text = read_page("factory.md");
    for (size_t i = 0; i < fleet_workflow_schema.field_count; i++) {
        char key[64];
        snprintf(key, sizeof key, "`%s`", fleet_workflow_schema.fields[i].key);
        if (strstr(text, key) == NULL)
            fail_msg("docs/factory.md does not name %s", key);
    }
    free(text);
}

int main(void)
{
    unsetenv("ARGOSY_MODEL_DIR");
    unsetenv("ARGOSY_HTTP_LISTEN");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_row),
        cmocka_unit_test(every_key_of_the_factory_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
