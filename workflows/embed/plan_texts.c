/* SPDX-License-Identifier: Apache-2.0 */
/* plan_texts: the first step of EmbedFileWorkflow; see embed_file.h. */
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "models/text_lines.h"
#include "workflows/artifact_reference.h"
#include "workflows/embed/embed_file.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

#define HEARTBEAT_NS NS_PER_S

struct part {
    uint64_t offset;
    uint64_t line;
    uint64_t count;
};

struct plan {
    struct argosy_activity *activity;
    uint64_t part_texts;
    uint64_t count;
    struct part parts[EMBED_PARTS_MAX];
    size_t part_count;
    uint64_t heartbeat_ns;
};

/* Makes every two parts one. */
static void plan_merge(struct plan *plan)
{
    size_t merged = 0;
    for (size_t i = 0; i < plan->part_count; i += 2, merged++) {
        struct part part = plan->parts[i];
        if (i + 1 < plan->part_count)
            part.count += plan->parts[i + 1].count;
        plan->parts[merged] = part;
    }
    plan->part_count = merged;
    plan->part_texts *= 2;
}

static void plan_add(struct plan *plan, const struct text_line *line)
{
    struct part *last = plan->part_count > 0 ? &plan->parts[plan->part_count - 1] : NULL;
    plan->count++;
    if (last != NULL && last->count < plan->part_texts) {
        last->count++;
        return;
    }
    if (plan->part_count == EMBED_PARTS_MAX)
        plan_merge(plan);
    plan->parts[plan->part_count++] =
        (struct part){.offset = line->offset, .line = line->number, .count = 1};
}

/* Says that the work goes on; ERR_CANCELED where it is no longer wanted. */
static int plan_heartbeat(struct plan *plan, struct error *err)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns - plan->heartbeat_ns < HEARTBEAT_NS)
        return 0;
    plan->heartbeat_ns = now_ns;
    argosy_activity_heartbeat(plan->activity, NULL);
    return argosy_activity_is_canceled(plan->activity)
               ? error_set(err, ERR_CANCELED, "the plan is no longer wanted")
               : 0;
}

static void fetched(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    plan_heartbeat(context, NULL);
}

static int plan_lines(struct plan *plan, int fd, struct error *err)
{
    struct text_lines *lines;
    struct text_line line = {0};
    int code = text_lines_create(fd, 0, 1, &lines, err);
    if (code != 0)
        return code;
    while ((code = text_lines_next(lines, &line, err)) == 0 && line.text != NULL) {
        plan_add(plan, &line);
        code = plan_heartbeat(plan, err);
        if (code != 0)
            break;
    }
    text_lines_destroy(lines);
    if (code == 0 && plan->count == 0)
        return error_set(err, ERR_INVALID, "the file holds no text");
    return code;
}

static int plan_read(const struct argosy_payload *input, struct artifact *ret_texts,
                     struct plan *plan, struct error *err)
{
    json_t *request;
    int code = json_payload_read(input, &request, err);
    if (code != 0)
        return code;
    json_int_t part_texts = json_integer_value(json_object_get(request, "part_texts"));
    code = artifact_reference_read(json_object_get(request, "input"), ret_texts, err);
    if (code == 0 && (part_texts < 1 || part_texts > EMBED_PART_TEXTS_MAX))
        code = error_set(err, ERR_INVALID, "\"part_texts\" must be a number from 1 to %d",
                         EMBED_PART_TEXTS_MAX);
    plan->part_texts = (uint64_t)part_texts;
    json_decref(request);
    return code;
}

static int plan_write(const struct plan *plan, struct argosy_arena *arena,
                      struct argosy_payload *ret_result, struct error *err)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < plan->part_count; i++) {
        const struct part *part = &plan->parts[i];
        json_array_append_new(
            parts, json_pack("{s:I, s:I, s:I}", "offset", (json_int_t)part->offset, "line",
                             (json_int_t)part->line, "count", (json_int_t)part->count));
    }
    bool is_whole = json_array_size(parts) == plan->part_count;
    json_t *result = json_pack("{s:I, s:o}", "count", (json_int_t)plan->count, "parts", parts);
    if (!is_whole) {
        json_decref(result);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    return json_payload_write(result, arena, ret_result, err);
}

static int make(struct plan *plan, const struct shipped_context *context,
                struct argosy_payload *ret_result, struct error *err)
{
    struct artifact texts;
    int fd = -1;
    uint64_t size;
    int code = plan_read(argosy_activity_input(plan->activity), &texts, plan, err);
    if (code == 0)
        code = artifact_open(context->storage, texts.id, fetched, plan, &fd, &size, err);
    if (code != 0)
        return code;
    code = plan_lines(plan, fd, err);
    close(fd);
    if (code == 0)
        code = plan_write(plan, argosy_activity_arena(plan->activity), ret_result, err);
    return code;
}

int plan_texts(struct argosy_activity *activity, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    struct error why = {0};
    struct plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    plan->activity = activity;
    int code = make(plan, user_data, ret_result, &why);
    free(plan);
    return code == 0
               ? 0
               : failure_from(argosy_activity_arena(activity), FAILURE_INVALID_INPUT, &why, err);
}
