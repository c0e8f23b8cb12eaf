/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fleet_view: whatever an engine tells of a fleet, and heartbeats tell of a task, is drawn in
 * lines that fit the terminal, without a byte that could disturb it. */
#include <string.h>

#include "cli/fleet_tree.h"
#include "cli/output.h"
#include "cli/task_progress.h"
#include "cli/top_draw.h"
#include "cli/top_frame.h"
#include "common/assert.h"
#include "common/time_unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines of at most columns, that end. */
static void check(struct drawing *drawing)
{
    const char *line = buffer_text(&drawing->text);
    for (const char *end; *line != '\0'; line = end + 1) {
        char text[4096];
        end = strchr(line, '\n');
        ASSERT(end != NULL && (size_t)(end - line) < sizeof text);
        memcpy(text, line, (size_t)(end - line));
        text[end - line] = '\0';
        ASSERT(output_width(text) <= drawing->style->columns);
        for (const char *at = text; *at != '\0'; at++)
            ASSERT((unsigned char)*at >= ' ' && *at != '\x7f');
    }
    drawing_fini(drawing);
}

static void draw(const json_t *fleet, const struct style *style)
{
    struct drawing tree = {.style = style}, top = {.style = style};
    struct top_view view = {.rows = 20};
    fleet_tree_draw(fleet, 3, &tree);
    check(&tree);
    json_t *frame = top_frame_create(fleet, fleet, US_PER_S, 0);
    ASSERT(frame != NULL);
    top_view_note(&view, frame);
    top_draw(frame, &view, &top);
    ASSERT(top.lines <= view.rows);
    check(&top);
    json_decref(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char details[512];
    struct task_progress progress;
    size_t length = size < sizeof details ? size : sizeof details - 1;
    memcpy(details, data, length);
    details[length] = '\0';
    task_progress_read(details, &progress);
    ASSERT(!progress.is_known || (progress.done >= 0 && progress.total >= 0));
    json_t *fleet = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (fleet == NULL)
        return 0;
    for (uint32_t columns = 10; columns <= 1000; columns *= 10) {
        const struct style style = {.columns = columns, .is_utf8 = columns != 100};
        draw(fleet, &style);
    }
    json_decref(fleet);
    return 0;
}
