/* SPDX-License-Identifier: Apache-2.0 */
/* vector_postgres_filter: see vector_postgres_filter.h. */
#include "storage/vectors/vector_postgres_filter.h"

/* In the order of enum vector_operator; "in" is equality with one of several. */
static const char *const operators[] = {"=", ">", ">=", "<", "<=", "="};

/* One comparison; place is the number of the parameter with the name, 0 for the document's. */
static void add_value(const struct vector_condition *condition, const struct vector_value *value,
                      int place, struct buffer *sql, struct postgres_parameters *parameters)
{
    const char *op = operators[condition->op];
    char json[128];
    snprintf(json, sizeof json, "coalesce(chunk.facts -> $%d::text, document.facts -> $%d::text)",
             place, place);
    int next = parameters->count + 1;
    switch (value->type) {
    case VECTOR_VALUE_TEXT:
        postgres_add_sized_text(parameters, value->text, value->size);
        if (condition->is_document)
            buffer_printf(sql, "document.name %s $%d::text COLLATE \"C\"", op, next);
        else
            buffer_printf(sql,
                          "(jsonb_typeof(%s) = 'string' AND (%s #>> '{}') COLLATE \"C\" %s "
                          "$%d::text)",
                          json, json, op, next);
        return;
    case VECTOR_VALUE_NUMBER:
        /* CASE, since AND does not promise that its left side comes first. */
        if (condition->is_document) {
            buffer_append_text(sql, "false");
            return;
        }
        postgres_add_double(parameters, value->number);
        buffer_printf(sql,
                      "CASE WHEN jsonb_typeof(%s) = 'number' THEN (%s #>> '{}')::float8 %s "
                      "$%d::float8 ELSE false END",
                      json, json, op, next);
        return;
    case VECTOR_VALUE_BOOLEAN:
        if (condition->is_document)
            buffer_append_text(sql, "false");
        else
            buffer_printf(sql, "%s = '%s'::jsonb", json, value->is_true ? "true" : "false");
        return;
    }
}

void vector_postgres_filter(const struct vector_filter *filter, struct buffer *sql,
                            struct postgres_parameters *parameters)
{
    for (size_t i = 0; i < filter->count; i++) {
        const struct vector_condition *condition = &filter->conditions[i];
        int place = 0;
        if (!condition->is_document) {
            postgres_add_sized_text(parameters, condition->name, condition->name_size);
            place = parameters->count;
        }
        buffer_append_text(sql, " AND (");
        for (size_t at = 0; at < condition->value_count; at++) {
            buffer_append_text(sql, at > 0 ? " OR " : "");
            add_value(condition, &condition->values[at], place, sql, parameters);
        }
        buffer_append_byte(sql, ')');
    }
}
