/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_template: how a workflow id, or the name of a group of runs, is derived from an input.
 *
 * Text with places in braces: {uuid} is a new random one, {document_id} the input's member of that
 * name, {job.id} a member of a member, {name|uuid} the member where the input has it and else a
 * random uuid. Braces cannot be text. "ingest-{document_id}", "embed-{name|uuid}".
 *
 * Parsed when the config is read, filled in by sdk/factory.c.
 * Threading: a parsed template is constant. It lives in the arena given and borrows no text.
 */
#ifndef ARGOSY_COMMON_ID_TEMPLATE_H
#define ARGOSY_COMMON_ID_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/input_schema.h"

/* Most parts of a template: texts, places and members of a path. */
#define ID_TEMPLATE_PARTS_MAX 16

enum id_part_kind { ID_PART_TEXT, ID_PART_UUID, ID_PART_MEMBER };

struct id_part {
    enum id_part_kind kind;
    const char *text;        /* TEXT: itself; MEMBER: the path as written */
    const char *const *path; /* MEMBER: its names, outermost first */
    size_t path_count;
    bool or_uuid; /* MEMBER */
};

struct id_template {
    const char *source; /* as written */
    struct id_part parts[ID_TEMPLATE_PARTS_MAX];
    size_t part_count;
};

/* Reads the text. NULL with *ret_template set, or what is wrong with it. */
const char *id_template_parse(const char *text, struct arena *arena,
                              const struct id_template **ret_template);

/* A member that an input which fits schema may lack, or that may be neither a text nor a whole
 * number, although the template needs it: its path as written; NULL when all is well. */
const char *id_template_unsure(const struct id_template *template,
                               const struct input_schema *schema);

#endif
