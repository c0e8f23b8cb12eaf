/* SPDX-License-Identifier: Apache-2.0 */
/* suite: see suite.h. */
#include "workflows/evaluation/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/utf8.h"
#include "workflows/evaluation/json_lines.h"
#include "workflows/text.h"

/* A name that was seen, and its place: of a case, a document or a label. */
struct name {
    UT_hash_handle hh;
    const char *text;
    uint32_t place;
};

/* A document that a query names, which may come later in the file. */
struct reference {
    const char *document;
    uint64_t line;
};

struct reading {
    struct suite *suite;
    suite_text_fn *on_text;
    void *arg;
    struct name *case_names, *document_names, *label_names;
    struct reference *references; /* of suite->relevants, in their order */
    struct buffer clean;
    uint64_t line;
    bool is_over; /* nothing more is read */
};

/* ---- what is wrong ---- */

/* Bytes that are no UTF-8 (a text that was cut in a character) become question marks. */
static void utf8_mend(char *text)
{
    uint32_t point;
    for (size_t left = strlen(text), length; left > 0; text += length, left -= length) {
        length = utf8_decode(text, left, &point);
        if (length == 0) {
            *text = '?';
            length = 1;
        }
    }
}

/* Returns false, for "is no case". */
__attribute__((format(printf, 3, 4))) static bool problem(struct suite *suite, uint64_t line,
                                                          const char *format, ...)
{
    suite->error_count++;
    if (suite->problem_count == SUITE_PROBLEMS_MAX)
        return false;
    struct suite_problem *place = &suite->problems[suite->problem_count++];
    va_list arguments;
    va_start(arguments, format);
    place->line = line;
    vsnprintf(place->text, sizeof place->text, format, arguments);
    va_end(arguments);
    utf8_mend(place->text);
    return false;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "out of memory");
}

/* Room for one more of count items, doubled when it is full. */
static int room_make(void **items, size_t count, size_t size, struct error *err)
{
    if (count != 0 && (count < 64 || (count & (count - 1)) != 0))
        return 0;
    void *grown = realloc(*items, (count < 64 ? 64 : 2 * count) * size);
    if (grown == NULL)
        return no_memory(err);
    *items = grown;
    return 0;
}

/* ---- names ---- */

static struct name *name_find(struct name *names, const char *text)
{
    struct name *name;
    HASH_FIND_STR(names, text, name);
    return name;
}

static int name_add(struct reading *reading, struct name **names, const char *text, uint32_t place,
                    const char **ret_text, struct error *err)
{
    struct name *name = arena_alloc(&reading->suite->arena, sizeof *name);
    const char *copy = arena_strdup(&reading->suite->arena, text);
    if (name == NULL || copy == NULL)
        return no_memory(err);
    *name = (struct name){.text = copy, .place = place};
    HASH_ADD_KEYPTR(hh, *names, name->text, strlen(name->text), name);
    *ret_text = copy;
    return 0;
}

static bool is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    }
    return size > 0 && text[0] != ' ' && text[size - 1] != ' ';
}

/* A name of the line; NULL and a problem where there is none. */
static const char *name_take(struct reading *reading, const json_t *value, const char *member,
                             size_t most)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);
    if (text == NULL)
        problem(reading->suite, reading->line, "\"%s\" %s", member,
                value == NULL ? "is missing" : "is no string");
    else if (size > most || !is_plain(text, size))
        problem(reading->suite, reading->line,
                "\"%s\" must have 1 to %zu bytes, none of them control characters, no blank first "
                "or last",
                member, most);
    else
        return text;
    return NULL;
}

/* ---- texts ---- */

/* Checks a text; on success it is in *ret_text. */
static bool text_take(struct reading *reading, const json_t *object, const char *member,
                      const json_t **ret_text)
{
    const json_t *text = json_object_get(object, member);
    struct text_measure measure;
    struct error why;
    if (!json_is_string(text))
        return problem(reading->suite, reading->line, "\"%s\" %s", member,
                       text == NULL ? "is missing" : "is no string");
    if (text_measure(json_string_value(text), json_string_length(text), &measure, &why) != 0)
        return problem(reading->suite, reading->line, "\"%s\": %s", member, why.text);
    if (measure.blank)
        return problem(reading->suite, reading->line, "\"%s\" is blank", member);
    if (measure.length > SUITE_TEXT_LENGTH_MAX)
        return problem(reading->suite, reading->line,
                       "\"%s\" has %zu characters, above the limit of %d", member, measure.length,
                       SUITE_TEXT_LENGTH_MAX);
    *ret_text = text;
    return true;
}

static int text_give(struct reading *reading, const json_t *text, struct error *err)
{
    const char *bytes = json_string_value(text);
    size_t size = json_string_length(text);
    reading->suite->text_count++;
    if (reading->on_text == NULL)
        return 0;
    if (reading->suite->type == SUITE_CLASSIFICATION) {
        buffer_clear(&reading->clean);
        int code = text_clean(bytes, size, &reading->clean, err);
        if (code != 0)
            return code;
        bytes = buffer_text(&reading->clean);
        size = reading->clean.size;
    }
    return reading->on_text(reading->arg, bytes, size, err);
}

/* ---- cases ---- */

/* The case's name into *ret_id: given, or the line's; NULL and a problem where it is wrong. */
static const char *case_id(struct reading *reading, const json_t *object, const char *member,
                           char line_id[32])
{
    const json_t *value = json_object_get(object, member);
    bool is_query = reading->suite->type == SUITE_RETRIEVAL;
    const char *id = line_id;
    if (value != NULL || is_query)
        id = name_take(reading, value, member, SUITE_ID_MAX);
    else
        snprintf(line_id, 32, "line-%llu", (unsigned long long)reading->line);
    struct name *name = id != NULL ? name_find(reading->case_names, id) : NULL;
    if (name == NULL)
        return id;
    problem(reading->suite, reading->line, "\"%s\" %s was used in line %llu", member, id,
            (unsigned long long)reading->suite->cases[name->place].line);
    return NULL;
}

static int case_add(struct reading *reading, const char *id, const struct suite_case *from,
                    struct error *err)
{
    struct suite *suite = reading->suite;
    if (suite->case_count == SUITE_CASES_MAX) {
        problem(suite, reading->line, "there are more than %u cases", SUITE_CASES_MAX);
        reading->is_over = true;
        return 0;
    }
    int code = room_make((void **)&suite->cases, suite->case_count, sizeof *suite->cases, err);
    struct suite_case added = *from;
    added.line = reading->line;
    added.text = suite->text_count;
    if (code == 0)
        code = name_add(reading, &reading->case_names, id, (uint32_t)suite->case_count, &added.id,
                        err);
    if (code == 0)
        suite->cases[suite->case_count++] = added;
    return code;
}

static int label_place(struct reading *reading, const char *label, uint32_t *ret_place,
                       struct error *err)
{
    struct suite *suite = reading->suite;
    struct name *name = name_find(reading->label_names, label);
    if (name != NULL) {
        *ret_place = name->place;
        return 0;
    }
    int code = room_make((void **)&suite->labels, suite->label_count, sizeof *suite->labels, err);
    const char *copy;
    if (code == 0)
        code = name_add(reading, &reading->label_names, label, suite->label_count, &copy, err);
    if (code != 0)
        return code;
    suite->labels[suite->label_count] = copy;
    *ret_place = suite->label_count++;
    return 0;
}

static int classification_add_line(struct reading *reading, const json_t *object, struct error *err)
{
    char line_id[32];
    struct suite_case added = {0};
    const json_t *text;
    const char *id = case_id(reading, object, "id", line_id);
    const char *label =
        name_take(reading, json_object_get(object, "label"), "label", SUITE_LABEL_SIZE_MAX);
    if (!text_take(reading, object, "text", &text) || id == NULL || label == NULL)
        return 0;
    if (reading->suite->label_count == SUITE_LABELS_MAX &&
        name_find(reading->label_names, label) == NULL) {
        problem(reading->suite, reading->line, "there are more than %u labels", SUITE_LABELS_MAX);
        return 0;
    }
    int code = label_place(reading, label, &added.label, err);
    if (code == 0)
        code = case_add(reading, id, &added, err);
    return code == 0 && !reading->is_over ? text_give(reading, text, err) : code;
}

static int similarity_add_line(struct reading *reading, const json_t *object, struct error *err)
{
    char line_id[32];
    struct suite_case added = {0};
    const json_t *first, *second, *score = json_object_get(object, "score");
    const char *id = case_id(reading, object, "id", line_id);
    bool is_scored = json_is_number(score);
    if (!is_scored)
        problem(reading->suite, reading->line, "\"score\" %s",
                score == NULL ? "is missing" : "is no number");
    bool is_right = text_take(reading, object, "a", &first);
    is_right = text_take(reading, object, "b", &second) && is_right;
    if (!is_right || !is_scored || id == NULL)
        return 0;
    added.score = json_number_value(score);
    int code = case_add(reading, id, &added, err);
    if (code == 0 && !reading->is_over)
        code = text_give(reading, first, err);
    if (code == 0 && !reading->is_over)
        code = text_give(reading, second, err);
    return code;
}

static int document_add_line(struct reading *reading, const json_t *object, struct error *err)
{
    struct suite *suite = reading->suite;
    const json_t *text;
    const char *id =
        name_take(reading, json_object_get(object, "document"), "document", SUITE_ID_MAX);
    if (!text_take(reading, object, "text", &text) || id == NULL)
        return 0;
    if (name_find(reading->document_names, id) != NULL) {
        problem(suite, reading->line, "document %s is there already", id);
        return 0;
    }
    if (suite->document_count == SUITE_DOCUMENTS_MAX) {
        problem(suite, reading->line, "there are more than %u documents", SUITE_DOCUMENTS_MAX);
        reading->is_over = true;
        return 0;
    }
    struct suite_document added = {.text = suite->text_count};
    int code =
        room_make((void **)&suite->documents, suite->document_count, sizeof *suite->documents, err);
    if (code == 0)
        code = name_add(reading, &reading->document_names, id, (uint32_t)suite->document_count,
                        &added.id, err);
    if (code != 0)
        return code;
    suite->documents[suite->document_count++] = added;
    return text_give(reading, text, err);
}

/* A document that the query under way names. */
static int relevant_add(struct reading *reading, const char *document, uint32_t grade,
                        struct error *err)
{
    struct suite *suite = reading->suite;
    if (suite->relevant_count == SUITE_RELEVANT_MAX) {
        problem(suite, reading->line, "queries name more than %u documents", SUITE_RELEVANT_MAX);
        reading->is_over = true;
        return 0;
    }
    if (strlen(document) > SUITE_ID_MAX) {
        problem(suite, reading->line, "there is no document %s", document);
        return 0;
    }
    size_t count = suite->relevant_count;
    int code = room_make((void **)&suite->relevants, count, sizeof *suite->relevants, err);
    if (code == 0)
        code = room_make((void **)&reading->references, count, sizeof *reading->references, err);
    const char *copy = code == 0 ? arena_strdup(&suite->arena, document) : NULL;
    if (code != 0 || copy == NULL)
        return code != 0 ? code : no_memory(err);
    suite->relevants[count] = (struct suite_relevant){.grade = grade};
    reading->references[count] = (struct reference){copy, reading->line};
    suite->relevant_count++;
    return 0;
}

static int grades_add(struct reading *reading, const json_t *grades, struct error *err)
{
    const char *document;
    json_t *value;
    int code = 0;
    json_object_foreach((json_t *)(uintptr_t)grades, document, value)
    {
        json_int_t grade = json_integer_value(value);
        if (grade < 1 || grade > SUITE_GRADE_MAX)
            problem(reading->suite, reading->line, "the grade of %s must be 1 to %u", document,
                    SUITE_GRADE_MAX);
        else if (code == 0 && !reading->is_over)
            code = relevant_add(reading, document, (uint32_t)grade, err);
    }
    return code;
}

static int names_add(struct reading *reading, const json_t *names, struct error *err)
{
    size_t place;
    const json_t *value;
    int code = 0;
    json_array_foreach(names, place, value)
    {
        if (!json_is_string(value))
            problem(reading->suite, reading->line, "\"relevant\" must name documents");
        else if (code == 0 && !reading->is_over)
            code = relevant_add(reading, json_string_value(value), 1, err);
    }
    return code;
}

static int query_add_line(struct reading *reading, const json_t *object, struct error *err)
{
    struct suite *suite = reading->suite;
    struct suite_case added = {.relevant_first = (uint32_t)suite->relevant_count};
    const json_t *text, *relevant = json_object_get(object, "relevant");
    const char *id = case_id(reading, object, "query", NULL);
    if (!text_take(reading, object, "text", &text) || id == NULL)
        return 0;
    int code = json_is_object(relevant)  ? grades_add(reading, relevant, err)
               : json_is_array(relevant) ? names_add(reading, relevant, err)
                                         : 0;
    added.relevant_count = (uint32_t)suite->relevant_count - added.relevant_first;
    if (added.relevant_count == 0)
        problem(suite, reading->line,
                "\"relevant\" must name at least one document: a list, or an object with grades");
    if (code == 0 && !reading->is_over)
        code = case_add(reading, id, &added, err);
    return code == 0 && !reading->is_over ? text_give(reading, text, err) : code;
}

static int line_add(struct reading *reading, const json_t *object, struct error *err)
{
    if (reading->suite->type == SUITE_CLASSIFICATION)
        return classification_add_line(reading, object, err);
    if (reading->suite->type == SUITE_SIMILARITY)
        return similarity_add_line(reading, object, err);
    if (json_object_get(object, "document") != NULL)
        return document_add_line(reading, object, err);
    return query_add_line(reading, object, err);
}

/* ---- the whole ---- */

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Labels into the order of their names; cases follow. */
static int labels_sort(struct reading *reading, struct error *err)
{
    struct suite *suite = reading->suite;
    uint32_t *places = malloc((suite->label_count + 1) * sizeof *places);
    if (places == NULL)
        return no_memory(err);
    if (suite->label_count > 0)
        qsort(suite->labels, suite->label_count, sizeof *suite->labels, by_name);
    for (uint32_t i = 0; i < suite->label_count; i++)
        places[name_find(reading->label_names, suite->labels[i])->place] = i;
    for (size_t i = 0; suite->label_count > 0 && i < suite->case_count; i++)
        suite->cases[i].label = places[suite->cases[i].label];
    free(places);
    return 0;
}

static void references_resolve(struct reading *reading)
{
    struct suite *suite = reading->suite;
    for (size_t i = 0; i < suite->relevant_count; i++) {
        const struct reference *reference = &reading->references[i];
        const struct name *name = name_find(reading->document_names, reference->document);
        if (name == NULL)
            problem(suite, reference->line, "there is no document %s", reference->document);
        else
            suite->relevants[i].document = name->place;
    }
}

/* A document named twice by one query would be found twice. */
static int repeats_find(struct suite *suite, struct error *err)
{
    uint32_t *seen = calloc(suite->document_count + 1, sizeof *seen);
    if (seen == NULL)
        return no_memory(err);
    for (size_t i = 0; i < suite->case_count; i++) {
        const struct suite_case *query = &suite->cases[i];
        for (uint32_t j = 0; j < query->relevant_count; j++) {
            uint32_t document = suite->relevants[query->relevant_first + j].document;
            if (seen[document] == i + 1)
                problem(suite, query->line, "\"relevant\" names %s twice",
                        suite->documents[document].id);
            seen[document] = (uint32_t)i + 1;
        }
    }
    free(seen);
    return 0;
}

static int whole_check(struct reading *reading, struct error *err)
{
    struct suite *suite = reading->suite;
    int code = labels_sort(reading, err);
    if (code == 0 && suite->type == SUITE_RETRIEVAL) {
        references_resolve(reading);
        if (suite->error_count == 0)
            code = repeats_find(suite, err);
        if ((uint64_t)suite->case_count * suite->document_count > SUITE_PAIRS_MAX)
            problem(suite, 0, "%zu queries times %zu documents are above the limit of %u",
                    suite->case_count, suite->document_count, SUITE_PAIRS_MAX);
    }
    if (suite->case_count < SUITE_CASES_MIN && suite->error_count == 0)
        problem(suite, 0, "a suite needs at least %u cases", SUITE_CASES_MIN);
    return code;
}

static int lines_read(struct reading *reading, struct json_lines *lines, struct error *err)
{
    struct suite *suite = reading->suite;
    bool has_header = false;
    while (!reading->is_over) {
        struct json_line line;
        struct error why;
        int code = json_lines_next(lines, &line, err);
        reading->line = line.number;
        if (code != 0 || (line.object == NULL && line.problem == NULL))
            return code;
        if (line.object != NULL && has_header) {
            code = line_add(reading, line.object, err);
        } else if (line.object != NULL) {
            code = suite_header_read(line.object, suite, &why);
            if (code == ERR_INVALID) {
                problem(suite, line.number, "%s", why.text);
                reading->is_over = true;
                code = 0;
            }
            has_header = true;
        } else {
            problem(suite, line.number, "%s", line.problem);
            reading->is_over = !has_header;
        }
        if (code != 0)
            return code;
    }
    return 0;
}

static void reading_fini(struct reading *reading)
{
    HASH_CLEAR(hh, reading->case_names);
    HASH_CLEAR(hh, reading->document_names);
    HASH_CLEAR(hh, reading->label_names);
    free(reading->references);
    buffer_fini(&reading->clean);
}

int suite_read(int fd, suite_text_fn *on_text, void *arg, struct suite **ret_suite,
               struct error *err)
{
    struct suite *suite = calloc(1, sizeof *suite);
    struct json_lines *lines = NULL;
    if (suite == NULL)
        return no_memory(err);
    arena_init(&suite->arena, ARENA_NO_LIMIT); /* the counts above bound it */
    suite->description = "";
    suite->problems = calloc(SUITE_PROBLEMS_MAX, sizeof *suite->problems);
    struct reading reading = {.suite = suite, .on_text = on_text, .arg = arg};
    int code = suite->problems == NULL ? no_memory(err) : json_lines_create(fd, &lines, err);
    if (code == 0)
        code = lines_read(&reading, lines, err);
    if (code == 0)
        code = whole_check(&reading, err);
    json_lines_destroy(lines);
    reading_fini(&reading);
    if (code != 0) {
        suite_destroy(suite);
        return code;
    }
    *ret_suite = suite;
    return 0;
}

void suite_destroy(struct suite *suite)
{
    if (suite == NULL)
        return;
    free(suite->cases);
    free(suite->documents);
    free(suite->relevants);
    free(suite->labels);
    free(suite->problems);
    arena_fini(&suite->arena);
    free(suite);
}

/* ---- reports ---- */

json_t *suite_report_json(const struct suite *suite)
{
    json_t *problems = json_array();
    for (size_t i = 0; i < suite->problem_count; i++)
        json_array_append_new(problems,
                              json_pack("{s:I, s:s}", "line", (json_int_t)suite->problems[i].line,
                                        "text", suite->problems[i].text));
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:I, s:o}", "suite", suite->name, "type",
                     suite_type_name(suite->type), "cases", (json_int_t)suite->case_count,
                     "documents", (json_int_t)suite->document_count, "labels",
                     (json_int_t)suite->label_count, "fit", suite->error_count == 0, "errors",
                     (json_int_t)suite->error_count, "problems", problems);
}

void suite_report_text(const struct suite *suite, const char *name, struct buffer *out)
{
    for (size_t i = 0; i < suite->problem_count; i++) {
        const struct suite_problem *at = &suite->problems[i];
        if (at->line > 0)
            buffer_printf(out, "%s:%llu: %s\n", name, (unsigned long long)at->line, at->text);
        else
            buffer_printf(out, "%s: %s\n", name, at->text);
    }
    if (suite->error_count > suite->problem_count)
        buffer_printf(out, "%s: and %llu more\n", name,
                      (unsigned long long)(suite->error_count - suite->problem_count));
}
