/* SPDX-License-Identifier: Apache-2.0 */
/* top_draw: see top_draw.h. */
#include "cli/top_draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/grid.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "common/time_unit.h"

/* Of a screen with all sections; workers get the rest. */
#define QUEUES_SHARE 3
#define GPUS_SHARE   4
/* A section has a line of heads, a line of what was left out, and an empty one. */
#define SECTION_LINES 3

static double number(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

/* --- the head --- */

void top_view_note(struct top_view *view, const json_t *frame)
{
    if (view->history_count == TOP_HISTORY_MAX) {
        memmove(view->history, view->history + 1, (TOP_HISTORY_MAX - 1) * sizeof(double));
        view->history_count--;
    }
    view->history[view->history_count++] =
        number(json_object_get(frame, "throughput"), "donePerSecond");
}

static void draw_title(const json_t *frame, const struct top_view *view, struct drawing *drawing)
{
    const json_t *workers = json_object_get(frame, "workers"), *row;
    char clock[16] = "";
    size_t index, ready = 0;
    time_t seconds = (time_t)(view_number(frame, "utcUs") / US_PER_S);
    struct tm local;
    json_array_foreach(workers, index, row) ready += strcmp(view_text(row, "state"), "ready") == 0;
    if (localtime_r(&seconds, &local) != NULL)
        strftime(clock, sizeof clock, "%H:%M:%S", &local);
    drawing_put(drawing, TONE_STRONG, "argosy top");
    drawing_printf(drawing, TONE_PLAIN, "  %s", clock);
    if (view->is_paused)
        drawing_put(drawing, TONE_WARN, "  paused");
    drawing_printf(drawing, TONE_PLAIN, "  %zu node%s, ",
                   json_array_size(json_object_get(frame, "nodes")),
                   json_array_size(json_object_get(frame, "nodes")) == 1 ? "" : "s");
    drawing_printf(drawing, ready == json_array_size(workers) ? TONE_GOOD : TONE_WARN,
                   "%zu of %zu workers ready", ready, json_array_size(workers));
    drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 " open runs", view_number(frame, "openRuns"));
    drawing_end(drawing);
}

static void draw_throughput(const json_t *frame, const struct top_view *view,
                            struct drawing *drawing)
{
    const json_t *throughput = json_object_get(frame, "throughput");
    drawing_printf(drawing, TONE_PLAIN, "activities  %.1f/s done, %.1f/s added  ",
                   number(throughput, "donePerSecond"), number(throughput, "addedPerSecond"));
    size_t columns = drawing->style->columns, width = view->history_count;
    if (columns > 0)
        width = drawing->used + 1 < columns ? columns - 1 - drawing->used : 0;
    drawing_curve(drawing, TONE_GOOD, view->history, view->history_count, width);
    drawing_end(drawing);
}

static void draw_troubles(const json_t *frame, const struct top_view *view, struct drawing *drawing)
{
    size_t index;
    const json_t *node;
    if (view->trouble != NULL) {
        drawing_put(drawing, TONE_BAD, view->trouble);
        drawing_end(drawing);
    }
    json_array_foreach(json_object_get(frame, "nodes"), index, node)
    {
        if (view_text(node, "error")[0] == '\0')
            continue;
        drawing_printf(drawing, TONE_BAD, "node %s: %s", view_text(node, "node"),
                       view_text(node, "error"));
        drawing_end(drawing);
    }
}

/* --- sections --- */

static const char *age_text(int64_t age_us, char text[OUTPUT_TIME_SIZE])
{
    return age_us > 0 ? output_duration(age_us, text) : "-";
}

static void put_number(struct grid *grid, const json_t *row, const char *name, const char *format)
{
    const json_t *value = json_object_get(row, name);
    if (json_is_number(value))
        grid_put(grid, TONE_PLAIN, format, json_number_value(value));
    else
        grid_put(grid, TONE_FAINT, "-");
}

static void put_bytes(struct grid *grid, int64_t bytes)
{
    char text[OUTPUT_BYTES_SIZE];
    grid_put(grid, TONE_PLAIN, "%s", bytes > 0 ? output_bytes((double)bytes, text) : "-");
}

static const struct grid_column queue_columns[] = {
    {"QUEUE", false, 0},  {"KIND", false, 0},   {"WAITING", true, 0}, {"OLDEST", true, 3},
    {"AT WORK", true, 0}, {"AT MOST", true, 5}, {"ADDED/S", true, 4}, {"DONE/S", true, 1},
    {"POLLS", true, 6},   {"", false, 1},       {NULL, false, 0},
};

static void fill_queue(struct grid *grid, const json_t *queue)
{
    char age[OUTPUT_TIME_SIZE];
    bool is_paused = json_is_true(json_object_get(queue, "paused"));
    bool is_unserved = view_number(queue, "waiting") > 0 && view_number(queue, "pollers") == 0 &&
                       view_number(queue, "slots") == 0;
    int64_t bound = view_number(queue, "atMost");
    grid_put(grid, TONE_PLAIN, "%s", view_text(queue, "queue"));
    grid_put(grid, TONE_PLAIN, "%s", view_text(queue, "kind"));
    grid_put(grid, TONE_PLAIN, "%" PRId64, view_number(queue, "waiting"));
    grid_put(grid, TONE_PLAIN, "%s", age_text(view_number(queue, "oldestUs"), age));
    grid_put(grid, TONE_PLAIN, "%" PRId64, view_number(queue, "atWorkers"));
    if (bound > 0)
        grid_put(grid, TONE_PLAIN, "%" PRId64, bound);
    else
        grid_put(grid, TONE_FAINT, "-");
    put_number(grid, queue, "addedPerSecond", "%.1f");
    put_number(grid, queue, "donePerSecond", "%.1f");
    grid_put(grid, TONE_PLAIN, "%" PRId64, view_number(queue, "pollers"));
    grid_put(grid, TONE_WARN, "%s", is_paused ? "paused" : is_unserved ? "no worker" : "");
}

static const struct grid_column gpu_columns[] = {
    {"GPU", false, 0},  {"NODE", false, 4}, {"MODEL", false, 6}, {"HEALTH", false, 0},
    {"BUSY", true, 0},  {"USED", true, 1},  {"MEMORY", true, 2}, {"HEAT", true, 3},
    {"POWER", true, 5}, {"", false, 7},     {NULL, false, 0},
};

static void put_known(struct grid *grid, const json_t *row, const char *name, const char *unit)
{
    if (json_object_get(row, name) != NULL)
        grid_put(grid, TONE_PLAIN, "%" PRId64 "%s", view_number(row, name), unit);
    else
        grid_put(grid, TONE_FAINT, "-");
}

static void fill_gpu(struct grid *grid, const json_t *gpu)
{
    const char *health = view_text(gpu, "health"), *uuid = view_text(gpu, "uuid");
    bool is_bad = strcmp(health, "bad") == 0;
    grid_put(grid, TONE_PLAIN, "%.12s", uuid[0] != '\0' ? uuid : view_text(gpu, "busId"));
    grid_put(grid, TONE_PLAIN, "%s", view_text(gpu, "node"));
    grid_put(grid, TONE_PLAIN, "%s", view_text(gpu, "model"));
    grid_put(grid,
             is_bad                        ? TONE_BAD
             : strcmp(health, "well") == 0 ? TONE_GOOD
                                           : TONE_WARN,
             "%s", health);
    put_known(grid, gpu, "utilizationPercent", "%");
    put_bytes(grid, view_number(gpu, "memoryUsedBytes"));
    put_bytes(grid, view_number(gpu, "memoryTotalBytes"));
    put_known(grid, gpu, "temperatureCelsius", " C");
    put_known(grid, gpu, "powerWatts", " W");
    grid_put(grid, TONE_WARN, "%s%s", view_text(gpu, "reason"),
             json_is_true(json_object_get(gpu, "throttled")) ? " throttled" : "");
}

static const struct grid_column worker_columns[] = {
    {"WORKER", false, 0},  {"NODE", false, 3}, {"STATE", false, 0},  {"CPU %", true, 1},
    {"MEMORY", true, 4},   {"SLOTS", true, 0}, {"TASKS/S", true, 2}, {"OLDEST TASK", true, 5},
    {"RESTARTS", true, 6}, {"PIN", false, 7},  {NULL, false, 0},
};

static void fill_worker(struct grid *grid, const json_t *worker)
{
    char age[OUTPUT_TIME_SIZE];
    const char *state = view_text(worker, "state");
    int64_t restarts = view_number(worker, "restarts");
    grid_put(grid, TONE_PLAIN, "%s", view_text(worker, "name"));
    grid_put(grid, TONE_PLAIN, "%s", view_text(worker, "node"));
    grid_put(grid, strcmp(state, "ready") == 0 ? TONE_GOOD : TONE_WARN, "%s", state);
    put_number(grid, worker, "cpuPercent", "%.0f");
    put_bytes(grid, view_number(worker, "memoryBytes"));
    grid_put(grid, TONE_PLAIN, "%" PRId64 "/%" PRId64, view_number(worker, "slotsUsed"),
             view_number(worker, "slots"));
    put_number(grid, worker, "tasksPerSecond", "%.1f");
    grid_put(grid, TONE_PLAIN, "%s", age_text(view_number(worker, "oldestTaskUs"), age));
    grid_put(grid, restarts > 0 ? TONE_WARN : TONE_PLAIN, "%" PRId64, restarts);
    grid_put(grid, TONE_PLAIN, "%s", view_text(worker, "pin"));
}

static const struct section {
    const char *name;
    const struct grid_column *columns;
    void (*fill)(struct grid *grid, const json_t *row);
} sections[TOP_SECTION_COUNT] = {
    [TOP_QUEUES] = {"queues", queue_columns, fill_queue},
    [TOP_WORKERS] = {"workers", worker_columns, fill_worker},
    [TOP_GPUS] = {"gpus", gpu_columns, fill_gpu},
};

/* --- sorting --- */

static const struct sort {
    const char *name, *field; /* no field: by node and name */
} sorts[TOP_SORT_COUNT] = {
    [TOP_SORT_NAME] = {"name", NULL},
    [TOP_SORT_CPU] = {"cpu", "cpuPercent"},
    [TOP_SORT_MEMORY] = {"memory", "memoryBytes"},
    [TOP_SORT_TASKS] = {"tasks", "tasksPerSecond"},
    [TOP_SORT_OLDEST] = {"oldest task", "oldestTaskUs"},
};

static int by_field(const void *a, const void *b, void *context)
{
    const char *field = context;
    double left = number(*(const json_t *const *)a, field);
    double right = number(*(const json_t *const *)b, field);
    return (left < right) - (left > right);
}

/* Fills the grid with the rows in their order: as they came, node by node, or sorted. */
static void fill(struct grid *grid, const struct section *section, const json_t *rows,
                 const char *field)
{
    size_t count = json_array_size(rows), index;
    const json_t **sorted = count > 0 ? calloc(count, sizeof sorted[0]) : NULL;
    const json_t *row;
    if (sorted == NULL) {
        grid->failed = grid->failed || count > 0;
        return;
    }
    json_array_foreach(rows, index, row) sorted[index] = row;
    if (field != NULL)
        qsort_r(sorted, count, sizeof sorted[0], by_field, (void *)(uintptr_t)field);
    for (size_t i = 0; i < count; i++)
        section->fill(grid, sorted[i]);
    free(sorted);
}

/* --- the screen --- */

/* Draws at most rows_max rows of a section, and says how many there are beside them. */
static void draw_section(const json_t *frame, const struct top_view *view, enum top_section which,
                         size_t first, size_t rows_max, struct drawing *drawing)
{
    const struct section *section = &sections[which];
    const char *field = which == TOP_WORKERS ? sorts[view->sort].field : NULL;
    struct grid grid;
    grid_init(&grid, section->columns);
    fill(&grid, section, json_object_get(frame, section->name), field);
    size_t rows = grid_rows(&grid);
    first = first < rows ? first : 0;
    size_t shown = rows - first < rows_max ? rows - first : rows_max;
    grid_draw(&grid, first, shown, drawing);
    if (shown < rows) {
        drawing_printf(drawing, TONE_FAINT, "%zu to %zu of %zu %s", first + 1, first + shown, rows,
                       section->name);
        drawing_end(drawing);
    }
    drawing_end(drawing);
    grid_fini(&grid);
}

static size_t at_least_one(size_t rows)
{
    return rows > 0 ? rows : 1;
}

static void draw_all(const json_t *frame, const struct top_view *view, size_t room,
                     struct drawing *drawing)
{
    size_t queues = json_array_size(json_object_get(frame, "queues"));
    size_t gpus = json_array_size(json_object_get(frame, "gpus"));
    size_t queues_max = at_least_one(room / QUEUES_SHARE),
           gpus_max = at_least_one(room / GPUS_SHARE);
    queues = queues < queues_max ? queues : queues_max;
    gpus = gpus < gpus_max ? gpus : gpus_max;
    size_t used = queues + (gpus > 0 ? gpus + SECTION_LINES : 0) + 2 * SECTION_LINES;
    draw_section(frame, view, TOP_QUEUES, 0, queues, drawing);
    if (gpus > 0)
        draw_section(frame, view, TOP_GPUS, 0, gpus, drawing);
    draw_section(frame, view, TOP_WORKERS, 0, at_least_one(room > used ? room - used : 0), drawing);
}

static void draw_keys(const struct top_view *view, struct drawing *drawing)
{
    static const char *const names[TOP_SECTION_COUNT] = {"all", "queues", "workers", "GPUs"};
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++)
        drawing_printf(drawing, i == view->section ? TONE_STRONG : TONE_FAINT, "%zu %s  ", i + 1,
                       names[i]);
    drawing_printf(drawing, TONE_FAINT, "s sort: %s  p %s  q quit", sorts[view->sort].name,
                   view->is_paused ? "go on" : "pause");
    drawing_end(drawing);
}

/* The lines that fit above that of the keys, which is the last one. */
static void keep_lines(struct drawing *drawing, size_t lines_max)
{
    if (drawing->lines <= lines_max || drawing->text.failed)
        return;
    const char *text = buffer_text(&drawing->text), *at = text;
    for (size_t i = 0; i < lines_max; i++)
        at = strchr(at, '\n') + 1;
    drawing->text.size = (size_t)(at - text);
    drawing->lines = lines_max;
}

void top_draw(const json_t *frame, const struct top_view *view, struct drawing *drawing)
{
    if (frame != NULL) {
        draw_title(frame, view, drawing);
        draw_throughput(frame, view, drawing);
    }
    draw_troubles(frame, view, drawing);
    drawing_end(drawing);
    size_t taken = drawing->lines + 1; /* and the line of the keys */
    size_t room = view->rows == 0 ? SIZE_MAX / 2 : view->rows > taken ? view->rows - taken : 0;
    if (frame != NULL && view->section == TOP_ALL)
        draw_all(frame, view, room, drawing);
    else if (frame != NULL)
        draw_section(frame, view, view->section, view->scroll,
                     at_least_one(room > SECTION_LINES ? room - SECTION_LINES : 0), drawing);
    if (view->rows == 0)
        return;
    keep_lines(drawing, view->rows - 1);
    draw_keys(view, drawing);
}
