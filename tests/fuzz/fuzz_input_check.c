/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_input_check: bytes up to the first NUL are an input schema, those behind it an input. Any of
 * both is accepted or refused with words; so is the id that a template makes of an input. */
#include <stdint.h>
#include <string.h>

#include "common/assert.h"
#include "common/limits.h"
#include "sdk/factory.h"
#include "sdk/input_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_input(const struct input_schema *schema, const char *text, size_t size,
                        struct arena *arena)
{
    struct error err = {0};
    json_t *value;
    int code = input_parse(text, size, &value, &err);
    if (code != 0) {
        ASSERT(code == ERR_INVALID && err.text[0] != '\0');
        return;
    }
    code = input_check(schema, value, &err);
    ASSERT(code == 0 || (code == ERR_INVALID && strncmp(err.text, "$", 1) == 0));
    const struct id_template *template;
    const char *id;
    ASSERT(id_template_parse("x-{a.b}-{c|uuid}", arena, &template) == NULL);
    code = factory_id(template, value, arena, &id, &err);
    ASSERT(code == ERR_INVALID || (code == 0 && strlen(id) <= LIMIT_ID_LENGTH));
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t schema_size = end != NULL ? (size_t)(end - data) : size;
    struct arena arena;
    arena_init(&arena, 16 * LIMIT_MIB);
    struct error err = {0};
    static const struct yaml_source source = {.name = "schema"};
    struct yaml_node *root;
    const struct input_schema *schema;
    int code = yaml_parse((const char *)data, schema_size, &source, &arena, &root, &err);
    if (code == 0)
        code = input_schema_compile(root, &arena, &schema, &err);
    if (code != 0)
        ASSERT(err.code == code && err.text[0] != '\0');
    else if (end != NULL)
        check_input(schema, (const char *)end + 1, size - schema_size - 1, &arena);
    arena_fini(&arena);
    return 0;
}
