/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_tree: see fleet_tree.h. */
#include "cli/fleet_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/task_progress.h"
#include "common/time_unit.h"

/* A supervisor's loop turns every 2 s at least; one that has not for so long stands still. */
#define SILENCE_US (10 * US_PER_S)

#define BAR_WIDTH      12
#define PROGRESS_WIDTH 40

struct tree {
    struct drawing *drawing; /* borrowed */
    size_t tasks_max;

    /* the columns of this node's table: where each ends; 0: no room for it */
    size_t name_end, state_end, up_end, restarts_end, memory_end, pid_end, slots_end;
};

/* --- pieces of a line --- */

enum branch { BRANCH_CHILD, BRANCH_LAST, BRANCH_PASS, BRANCH_NONE };

static void put_branch(struct tree *tree, enum branch branch)
{
    static const char *const drawn[] = {"├─ ", "└─ ", "│  ", "   "};
    static const char *const ascii[] = {"|- ", "`- ", "|  ", "   "};
    drawing_put(tree->drawing, TONE_FAINT,
                tree->drawing->style->is_utf8 ? drawn[branch] : ascii[branch]);
}

static enum tone state_tone(const char *state)
{
    static const struct {
        const char *state;
        enum tone tone;
    } tones[] = {{"ready", TONE_GOOD},    {"starting", TONE_WARN}, {"draining", TONE_WARN},
                 {"drained", TONE_WARN},  {"backoff", TONE_BAD},   {"failed", TONE_BAD},
                 {"killing", TONE_BAD},   {"bad", TONE_BAD},       {"running", TONE_GOOD},
                 {"stopping", TONE_WARN}, {"well", TONE_GOOD},     {"degraded", TONE_WARN}};
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++) {
        if (strcmp(tones[i].state, state) == 0)
            return tones[i].tone;
    }
    return TONE_PLAIN;
}

const char *fleet_pin_text(const json_t *process, char text[FLEET_PIN_SIZE])
{
    const char *cpus = view_text(process, "cpus"), *gpu = view_text(process, "gpu");
    int64_t refused = view_number(process, "pinsRefused");
    int length = snprintf(text, FLEET_PIN_SIZE, "%.160s", cpus[0] != '\0' ? cpus : "not pinned");
    if (json_object_get(process, "memoryNode") != NULL)
        length += snprintf(text + length, FLEET_PIN_SIZE - (size_t)length, " node %" PRId64,
                           view_number(process, "memoryNode"));
    if (gpu[0] != '\0') /* as much of a UUID as tells GPUs apart */
        length += snprintf(text + length, FLEET_PIN_SIZE - (size_t)length, " %.12s", gpu);
    if (refused > 0)
        snprintf(text + length, FLEET_PIN_SIZE - (size_t)length, " (refused)");
    return text;
}

static void slots_text(const json_t *process, char *text, size_t size)
{
    size_t index, length = 0;
    const json_t *queue;
    text[0] = '\0';
    json_array_foreach(json_object_get(process, "queues"), index, queue)
    {
        if (strcmp(view_text(queue, "kind"), "activity") != 0 || length >= size)
            continue;
        length += (size_t)snprintf(text + length, size - length, "%s%s %" PRId64 "/%" PRId64,
                                   length > 0 ? ", " : "", view_text(queue, "queue"),
                                   view_number(queue, "slotsUsed"), view_number(queue, "slots"));
    }
    if (length == 0)
        strcpy(text, "-");
}

/* Near its limit a process is about to be ended. */
static enum tone memory_tone(const json_t *process)
{
    int64_t limit = view_number(process, "memoryLimitBytes");
    return limit > 0 && view_number(process, "memoryBytes") > limit / 10 * 9 ? TONE_WARN
                                                                             : TONE_PLAIN;
}

static const char *memory_text(const json_t *process, char text[OUTPUT_BYTES_SIZE])
{
    int64_t bytes = view_number(process, "memoryBytes");
    return bytes > 0 ? output_bytes((double)bytes, text) : strcpy(text, "-");
}

/* --- tasks --- */

static void draw_progress(struct tree *tree, const char *details)
{
    struct drawing *drawing = tree->drawing;
    struct task_progress progress;
    task_progress_read(details, &progress);
    drawing_put(drawing, TONE_PLAIN, "  ");
    if (progress.is_known && progress.total > 0) {
        drawing_bar(drawing, TONE_GOOD, progress.done / progress.total, BAR_WIDTH);
        drawing_printf(drawing, TONE_PLAIN, " %.0f/%.0f", progress.done, progress.total);
    } else if (progress.is_known) {
        drawing_printf(drawing, TONE_PLAIN, "%.0f done", progress.done);
    } else {
        struct buffer text = {0};
        output_safe(details, strlen(details), &text);
        output_cut(&text, PROGRESS_WIDTH);
        drawing_put(drawing, TONE_PLAIN, buffer_text(&text));
        buffer_fini(&text);
    }
}

static void draw_task(struct tree *tree, const json_t *task)
{
    struct drawing *drawing = tree->drawing;
    char running[OUTPUT_TIME_SIZE];
    bool is_activity = strcmp(view_text(task, "kind"), "activity") == 0;
    drawing_put(drawing, TONE_STRONG, view_text(task, "type"));
    drawing_printf(drawing, TONE_PLAIN, "%s  %s  %s", is_activity ? "" : " (workflow)",
                   view_text(task, "workflowId"),
                   output_duration(view_number(task, "runningUs"), running));
    if (view_number(task, "attempt") > 0)
        drawing_printf(drawing, view_number(task, "attempt") > 1 ? TONE_WARN : TONE_PLAIN,
                       "  attempt %" PRId64, view_number(task, "attempt"));
    if (view_text(task, "progress")[0] != '\0')
        draw_progress(tree, view_text(task, "progress"));
    drawing_end(drawing);
}

static int by_age(const void *a, const void *b)
{
    int64_t age_a = view_number(*(json_t *const *)a, "runningUs");
    int64_t age_b = view_number(*(json_t *const *)b, "runningUs");
    return (age_a < age_b) - (age_a > age_b);
}

/* The tasks, longest first; lead draws the tree in front of each line. */
static void draw_tasks(struct tree *tree, const json_t *tasks, const enum branch lead[2])
{
    size_t count = json_array_size(tasks), index;
    json_t **sorted = count > 0 ? calloc(count, sizeof(json_t *)) : NULL;
    json_t *task;
    if (sorted == NULL)
        return;
    json_array_foreach(tasks, index, task) sorted[index] = task;
    qsort(sorted, count, sizeof sorted[0], by_age);
    size_t shown = count < tree->tasks_max ? count : tree->tasks_max;
    for (size_t i = 0; i < count && i <= shown; i++) {
        put_branch(tree, lead[0]);
        put_branch(tree, lead[1]);
        put_branch(tree, BRANCH_NONE);
        if (i < shown) {
            draw_task(tree, sorted[i]);
        } else {
            drawing_printf(tree->drawing, TONE_FAINT, "and %zu more", count - shown);
            drawing_end(tree->drawing);
        }
    }
    free(sorted);
}

/* --- processes --- */

static void draw_row(struct tree *tree, const json_t *process)
{
    struct drawing *drawing = tree->drawing;
    char up[OUTPUT_TIME_SIZE] = "-", number[24], memory[OUTPUT_BYTES_SIZE], slots[512];
    char pin[FLEET_PIN_SIZE];
    const char *state = view_text(process, "state");
    bool has_pid = view_number(process, "pid") != 0;
    bool is_worker = view_text(process, "group")[0] != '\0';
    drawing_put(drawing, TONE_PLAIN, view_text(process, "name"));
    drawing_tab(drawing, tree->name_end + 2);
    drawing_put(drawing, state_tone(state), state);
    if (tree->up_end > 0) {
        if (has_pid)
            output_duration(view_number(process, "uptimeUs"), up);
        drawing_right(drawing, TONE_PLAIN, up, tree->up_end);
    }
    if (tree->restarts_end > 0) {
        int64_t restarts = view_number(process, "restarts");
        snprintf(number, sizeof number, "%" PRId64, restarts);
        drawing_right(drawing, restarts > 0 ? TONE_WARN : TONE_PLAIN, number, tree->restarts_end);
    }
    if (tree->memory_end > 0)
        drawing_right(drawing, memory_tone(process), memory_text(process, memory),
                      tree->memory_end);
    if (tree->pid_end > 0) {
        snprintf(number, sizeof number, "%" PRId64, view_number(process, "pid"));
        drawing_right(drawing, TONE_PLAIN, has_pid ? number : "-", tree->pid_end);
    }
    slots_text(process, slots, sizeof slots);
    drawing_printf(drawing, TONE_PLAIN, "  %s", is_worker && has_pid ? slots : "-");
    drawing_tab(drawing, tree->slots_end);
    drawing_printf(drawing, TONE_PLAIN, "  %s", fleet_pin_text(process, pin));
    if (json_is_true(json_object_get(process, "retired")))
        drawing_put(drawing, TONE_WARN, ", leaves");
    else if (json_is_true(json_object_get(process, "stale")))
        drawing_put(drawing, TONE_WARN, ", to be restarted");
    drawing_end(drawing);
}

static void draw_death(struct tree *tree, const json_t *process, const enum branch lead[2])
{
    char age[OUTPUT_TIME_SIZE];
    bool is_looping = json_is_true(json_object_get(process, "crashLooping"));
    if (view_text(process, "death")[0] == '\0')
        return;
    put_branch(tree, lead[0]);
    put_branch(tree, lead[1]);
    put_branch(tree, BRANCH_NONE);
    drawing_printf(tree->drawing, is_looping ? TONE_BAD : TONE_WARN, "last death %s ago: %s%s",
                   output_duration(view_number(process, "deathAgeUs"), age),
                   view_text(process, "death"), is_looping ? "; dies again and again" : "");
    drawing_end(tree->drawing);
}

static bool is_of(const json_t *process, const char *group)
{
    return strcmp(view_text(process, "group"), group) == 0;
}

/* The processes of a group, "" for the node's own; all but the first have something before them
 * in the tree. */
static void draw_members(struct tree *tree, const json_t *processes, const char *group,
                         enum branch outer, bool is_end)
{
    size_t index, left = 0;
    const json_t *process;
    json_array_foreach(processes, index, process) left += is_of(process, group);
    json_array_foreach(processes, index, process)
    {
        if (!is_of(process, group))
            continue;
        bool is_last = --left == 0 && is_end;
        if (group[0] != '\0')
            put_branch(tree, outer);
        put_branch(tree, is_last ? BRANCH_LAST : BRANCH_CHILD);
        draw_row(tree, process);
        enum branch below = is_last ? BRANCH_NONE : BRANCH_PASS;
        const enum branch lead[2] = {group[0] != '\0' ? outer : below,
                                     group[0] != '\0' ? below : BRANCH_NONE};
        draw_death(tree, process, lead);
        draw_tasks(tree, json_object_get(process, "tasks"), lead);
    }
}

static void draw_group(struct tree *tree, const json_t *group)
{
    struct drawing *drawing = tree->drawing;
    char memory[OUTPUT_BYTES_SIZE];
    int64_t ready = view_number(group, "ready"), workers = view_number(group, "workers");
    drawing_printf(drawing, TONE_STRONG, "group %s", view_text(group, "group"));
    drawing_put(drawing, TONE_PLAIN, ": ");
    drawing_printf(drawing, ready == workers ? TONE_GOOD : TONE_WARN,
                   "%" PRId64 " of %" PRId64 " ready", ready, workers);
    drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 "/%" PRId64 " slots, %" PRId64 " restarts, %s",
                   view_number(group, "slotsUsed"), view_number(group, "slots"),
                   view_number(group, "restarts"), memory_text(group, memory));
    drawing_end(drawing);
}

/* --- a node --- */

static size_t width_max(size_t width, const char *text)
{
    size_t own = output_width(text);
    return own > width ? own : width;
}

/* Lays the columns out; those that matter least go where the terminal is narrow. */
static void plan_columns(struct tree *tree, const json_t *processes)
{
    enum { STATE = 10, UP = 9, RESTARTS = 10, MEMORY = 12, PID = 9 };
    size_t name = 0, slots = strlen("SLOTS"), pin = 0, index;
    const json_t *process;
    json_array_foreach(processes, index, process)
    {
        char text[512];
        size_t depth = view_text(process, "group")[0] != '\0' ? 6 : 3;
        size_t width = depth + output_width(view_text(process, "name"));
        name = width > name ? width : name;
        slots_text(process, text, sizeof text);
        slots = width_max(slots, text);
        pin = width_max(pin, fleet_pin_text(process, text));
    }
    size_t columns = tree->drawing->style->columns;
    size_t needed = name + 2 + STATE + UP + RESTARTS + MEMORY + PID + 2 + slots + 2 + pin + 1;
    size_t *const ends[] = {&tree->up_end, &tree->restarts_end, &tree->memory_end, &tree->pid_end};
    static const size_t widths[] = {UP, RESTARTS, MEMORY, PID};
    static const size_t order[] = {3, 2, 0, 1}; /* which goes first */
    bool is_gone[4] = {false};
    for (size_t i = 0; i < 4 && columns > 0 && needed > columns; i++) {
        is_gone[order[i]] = true;
        needed -= widths[order[i]];
    }
    tree->name_end = name;
    size_t end = tree->state_end = name + STATE;
    for (size_t i = 0; i < 4; i++) {
        end += is_gone[i] ? 0 : widths[i];
        *ends[i] = is_gone[i] ? 0 : end;
    }
    tree->slots_end = end + 2 + slots;
}

static void draw_heads(struct tree *tree)
{
    struct drawing *drawing = tree->drawing;
    drawing_put(drawing, TONE_FAINT, "   PROCESS");
    drawing_tab(drawing, tree->name_end + 2);
    drawing_put(drawing, TONE_FAINT, "STATE");
    const struct {
        size_t end;
        const char *head;
    } heads[] = {{tree->up_end, "UP"},
                 {tree->restarts_end, "RESTARTS"},
                 {tree->memory_end, "MEMORY"},
                 {tree->pid_end, "PID"}};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (heads[i].end > 0)
            drawing_right(drawing, TONE_FAINT, heads[i].head, heads[i].end);
    }
    drawing_put(drawing, TONE_FAINT, "  SLOTS");
    drawing_tab(drawing, tree->slots_end);
    drawing_put(drawing, TONE_FAINT, "  PIN");
    drawing_end(drawing);
}

static void draw_gpus(struct tree *tree, const json_t *gpus, bool is_end)
{
    struct drawing *drawing = tree->drawing;
    size_t index;
    const json_t *gpu;
    json_array_foreach(gpus, index, gpu)
    {
        char used[OUTPUT_BYTES_SIZE], total[OUTPUT_BYTES_SIZE];
        const char *health = view_text(gpu, "health"), *uuid = view_text(gpu, "uuid");
        bool is_last = is_end && index + 1 == json_array_size(gpus);
        put_branch(tree, is_last ? BRANCH_LAST : BRANCH_CHILD);
        drawing_printf(drawing, TONE_PLAIN, "gpu %.12s  %s  ",
                       uuid[0] != '\0' ? uuid : view_text(gpu, "busId"), view_text(gpu, "model"));
        drawing_put(drawing, state_tone(health), health);
        if (view_text(gpu, "reason")[0] != '\0')
            drawing_printf(drawing, TONE_BAD, " (%s)", view_text(gpu, "reason"));
        if (json_object_get(gpu, "utilizationPercent") != NULL)
            drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 " %% busy",
                           view_number(gpu, "utilizationPercent"));
        if (json_object_get(gpu, "memoryUsedBytes") != NULL)
            drawing_printf(drawing, TONE_PLAIN, ", %s of %s",
                           output_bytes((double)view_number(gpu, "memoryUsedBytes"), used),
                           output_bytes((double)view_number(gpu, "memoryTotalBytes"), total));
        if (json_object_get(gpu, "temperatureCelsius") != NULL)
            drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 " C",
                           view_number(gpu, "temperatureCelsius"));
        drawing_end(drawing);
    }
}

static void draw_head(struct tree *tree, const json_t *node)
{
    struct drawing *drawing = tree->drawing;
    char text[OUTPUT_TIME_SIZE];
    const char *phase = view_text(node, "phase"), *failure = view_text(node, "error");
    drawing_printf(drawing, TONE_STRONG, "node %s", view_text(node, "node"));
    drawing_put(drawing, TONE_PLAIN, ": ");
    if (failure[0] != '\0') {
        drawing_put(drawing, TONE_BAD, failure);
        drawing_end(drawing);
        return;
    }
    drawing_put(drawing, state_tone(phase), phase);
    drawing_printf(drawing, TONE_PLAIN, ", up %s",
                   output_duration(view_number(node, "uptimeUs"), text));
    if (view_text(node, "http")[0] != '\0')
        drawing_printf(drawing, TONE_PLAIN, ", http %s", view_text(node, "http"));
    int64_t silence_us = view_number(node, "heartbeatAgeUs");
    if (silence_us > SILENCE_US)
        drawing_printf(drawing, TONE_BAD, ", its supervisor has been silent for %s",
                       output_duration(silence_us, text));
    drawing_end(drawing);
}

static void draw_node(struct tree *tree, const json_t *node)
{
    const json_t *processes = json_object_get(node, "processes");
    const json_t *groups = json_object_get(node, "groups");
    const json_t *gpus = json_object_get(node, "gpus");
    bool has_groups = json_array_size(groups) > 0;
    size_t index;
    const json_t *group;
    draw_head(tree, node);
    if (json_array_size(processes) == 0)
        return;
    plan_columns(tree, processes);
    draw_heads(tree);
    draw_members(tree, processes, "", BRANCH_NONE, !has_groups && json_array_size(gpus) == 0);
    draw_gpus(tree, gpus, !has_groups);
    json_array_foreach(groups, index, group)
    {
        bool is_last = index + 1 == json_array_size(groups);
        put_branch(tree, is_last ? BRANCH_LAST : BRANCH_CHILD);
        draw_group(tree, group);
        draw_members(tree, processes, view_text(group, "group"),
                     is_last ? BRANCH_NONE : BRANCH_PASS, true);
    }
}

/* --- the rest --- */

static void draw_others(struct tree *tree, const json_t *others)
{
    struct drawing *drawing = tree->drawing;
    size_t index;
    const json_t *row;
    if (json_array_size(others) == 0)
        return;
    drawing_put(drawing, TONE_STRONG, "workers that no node tells of");
    drawing_end(drawing);
    json_array_foreach(others, index, row)
    {
        bool is_last = index + 1 == json_array_size(others);
        char slots[512];
        slots_text(row, slots, sizeof slots);
        put_branch(tree, is_last ? BRANCH_LAST : BRANCH_CHILD);
        drawing_printf(drawing, TONE_PLAIN, "%s  %s", view_text(row, "identity"), slots);
        drawing_end(drawing);
        const enum branch lead[2] = {is_last ? BRANCH_NONE : BRANCH_PASS, BRANCH_NONE};
        draw_tasks(tree, json_object_get(row, "tasks"), lead);
    }
}

static void draw_queue(struct drawing *drawing, const json_t *queue, size_t name_width)
{
    char text[OUTPUT_TIME_SIZE] = "-";
    int64_t backlog = view_number(queue, "backlog"), bound = view_number(queue, "maxInFlight");
    drawing_printf(drawing, TONE_PLAIN, "  %s", view_text(queue, "queue"));
    drawing_tab(drawing, name_width + 4);
    drawing_put(drawing, TONE_PLAIN, view_text(queue, "kind"));
    drawing_printf(drawing, TONE_PLAIN, "  %" PRId64 " waiting", backlog);
    if (backlog > 0)
        drawing_printf(drawing, TONE_PLAIN, " (oldest %s)",
                       output_duration(view_number(queue, "backlogAgeUs"), text));
    drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 " at workers", view_number(queue, "inFlight"));
    if (bound > 0)
        drawing_printf(drawing, TONE_PLAIN, " (at most %" PRId64 ")", bound);
    drawing_printf(drawing, TONE_PLAIN, ", %" PRId64 "/%" PRId64 " slots",
                   view_number(queue, "slotsUsed"), view_number(queue, "slots"));
    if (json_is_true(json_object_get(queue, "paused")))
        drawing_put(drawing, TONE_WARN, ", paused");
    drawing_end(drawing);
}

static void draw_queues(struct drawing *drawing, const json_t *queues)
{
    size_t index, width = 0;
    const json_t *queue;
    if (json_array_size(queues) == 0)
        return;
    drawing_put(drawing, TONE_STRONG, "queues");
    drawing_end(drawing);
    json_array_foreach(queues, index, queue) width = width_max(width, view_text(queue, "queue"));
    json_array_foreach(queues, index, queue) draw_queue(drawing, queue, width);
}

void fleet_tree_draw(const json_t *fleet, size_t tasks_max, struct drawing *drawing)
{
    struct tree tree = {.drawing = drawing, .tasks_max = tasks_max};
    const json_t *nodes = json_object_get(fleet, "nodes");
    size_t index;
    const json_t *node;
    if (json_array_size(nodes) == 0) {
        drawing_put(drawing, TONE_WARN, "no node is connected");
        drawing_end(drawing);
    }
    json_array_foreach(nodes, index, node) draw_node(&tree, node);
    draw_others(&tree, json_object_get(fleet, "others"));
    draw_queues(drawing, json_object_get(fleet, "queues"));
    if (view_number(fleet, "tasksLeftOut") > 0) {
        drawing_printf(drawing, TONE_FAINT, "and %" PRId64 " more tasks",
                       view_number(fleet, "tasksLeftOut"));
        drawing_end(drawing);
    }
}
