/* SPDX-License-Identifier: Apache-2.0 */
/* test_top: what an interval of a fleet's life comes to, and how it is drawn on any terminal. */
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/top_draw.h"
#include "cli/top_frame.h"
#include "common/time_unit.h"
#include "tests/test.h"

/* Two looks at a fleet, 2 s apart. */
static const char before_text[] =
    "{'engine': {'engineInstanceId': 'e1', 'openRuns': '3'},"
    " 'queues': [{'queue': 'q', 'kind': 'activity', 'addedTotal': '100', 'dispatchedTotal': '90',"
    "   'inFlight': '4', 'addedRate': 7.5, 'dispatchedRate': 2.5}],"
    " 'nodes': [{'node': 'n', 'phase': 'running', 'processes': ["
    "   {'name': 'engine', 'group': '', 'pid': '1', 'cpuUs': '0'},"
    "   {'name': 'gpu/0', 'group': 'gpu', 'pid': '7', 'cpuUs': '1000000', 'dispatchedTotal': 90,"
    "    'queues': [{'kind': 'activity', 'slotsUsed': '4'}]}]}]}";
static const char after_text[] =
    "{'engine': {'engineInstanceId': 'e1', 'openRuns': '5'},"
    " 'queues': [{'queue': 'q', 'kind': 'activity', 'addedTotal': '120', 'dispatchedTotal': '110',"
    "   'inFlight': '6', 'maxInFlight': '64', 'backlog': '10', 'backlogAgeUs': '1500000',"
    "   'pollers': '1', 'slots': '8', 'slotsUsed': '6', 'addedRate': 7.5, 'dispatchedRate': 2.5},"
    "  {'queue': 'q', 'kind': 'workflow', 'addedTotal': '8', 'dispatchedTotal': '8',"
    "   'paused': true}],"
    " 'nodes': [{'node': 'n', 'phase': 'running', 'processes': ["
    "   {'name': 'engine', 'group': '', 'pid': '1', 'cpuUs': '0'},"
    "   {'name': 'gpu/0', 'group': 'gpu', 'pid': '7', 'state': 'ready', 'cpuUs': '2500000',"
    "    'dispatchedTotal': 110, 'memoryBytes': '104857600', 'restarts': '1', 'cpus': '4-7',"
    "    'slots': 8, 'slotsUsed': 6, 'queues': [{'kind': 'activity', 'slotsUsed': '6'}],"
    "    'tasks': [{'runningUs': '500000'}, {'runningUs': '61000000'}]},"
    "   {'name': 'gpu/1', 'group': 'gpu', 'pid': '8', 'state': 'starting', 'cpuUs': '10'}],"
    "  'gpus': [{'uuid': 'GPU-1a2b3c4d5e6f', 'model': 'H100', 'health': 'bad',"
    "    'reason': 'xid 79', 'utilizationPercent': 93, 'temperatureCelsius': 61,"
    "    'memoryUsedBytes': '1073741824', 'memoryTotalBytes': '85899345920'},"
    "    {'busId': '0000:3b:00.0', 'health': 'unwatched'}]},"
    "  {'node': 'm', 'error': 'the node did not answer in time'}]}";

static json_t *load(const char *text)
{
    char quoted[8192];
    size_t i = 0;
    for (; text[i] != '\0'; i++)
        quoted[i] = text[i] == '\'' ? '"' : text[i];
    quoted[i] = '\0';
    json_error_t why;
    json_t *json = json_loads(quoted, 0, &why);
    if (json == NULL)
        fail_msg("%s at %d", why.text, why.position);
    return json;
}

static json_t *frame_of(const char *before_json, const char *after_json)
{
    json_t *before = before_json != NULL ? load(before_json) : NULL, *after = load(after_json);
    json_t *frame = top_frame_create(before, after, 2 * US_PER_S, 1700000000 * US_PER_S);
    assert_non_null(frame);
    json_decref(before);
    json_decref(after);
    return frame;
}

static double figure(const json_t *frame, const char *list, size_t index, const char *name)
{
    const json_t *row = json_array_get(json_object_get(frame, list), index);
    const json_t *value = json_object_get(row, name);
    if (json_is_null(value))
        return -1;
    if (!json_is_number(value))
        fail_msg("%s of %s %zu is no number", name, list, index);
    return json_number_value(value);
}

static void rates_are_those_of_the_interval(void **state)
{
    (void)state;
    json_t *frame = frame_of(before_text, after_text);
    assert_true(figure(frame, "queues", 0, "addedPerSecond") == 10);
    assert_true(figure(frame, "queues", 0, "donePerSecond") == 9);  /* 20 handed out, 2 more held */
    assert_true(figure(frame, "queues", 1, "addedPerSecond") == 4); /* it was not there */
    assert_true(figure(frame, "queues", 0, "waiting") == 10);
    assert_true(figure(frame, "queues", 0, "atMost") == 64);
    const json_t *throughput = json_object_get(frame, "throughput");
    assert_true(json_number_value(json_object_get(throughput, "donePerSecond")) == 9);
    assert_int_equal(json_array_size(json_object_get(frame, "workers")), 2);
    assert_true(figure(frame, "workers", 0, "cpuPercent") == 75);
    assert_true(figure(frame, "workers", 0, "tasksPerSecond") == 9);
    assert_true(figure(frame, "workers", 0, "oldestTaskUs") == 61000000);
    assert_true(figure(frame, "workers", 1, "cpuPercent") == -1); /* it has just come */
    assert_true(figure(frame, "workers", 1, "tasksPerSecond") == -1);
    assert_int_equal(json_array_size(json_object_get(frame, "gpus")), 2);
    json_decref(frame);
}

/* Without a begin, or with counters that began again, rates are the engine's. */
static void first_and_new_engines_have_averages(void **state)
{
    (void)state;
    json_t *other = load(before_text);
    json_object_set_new(json_object_get(other, "engine"), "engineInstanceId", json_string("e0"));
    json_t *after = load(after_text);
    json_t *const befores[] = {NULL, other};
    for (size_t i = 0; i < 2; i++) {
        json_t *frame = top_frame_create(befores[i], after, 2 * US_PER_S, 0);
        assert_true(figure(frame, "queues", 0, "addedPerSecond") == 7.5);
        assert_true(figure(frame, "queues", 0, "donePerSecond") == 2.5);
        assert_true(figure(frame, "workers", 0, "cpuPercent") == -1);
        json_decref(frame);
    }
    json_decref(after);
    json_decref(other);
}

static void draw(const json_t *frame, const struct top_view *view, uint32_t columns, bool is_utf8,
                 struct buffer *out)
{
    struct style style = {.columns = columns, .is_utf8 = is_utf8};
    struct drawing drawing = {.style = &style};
    top_draw(frame, view, &drawing);
    assert_false(drawing.text.failed);
    *out = drawing.text;
}

static void frame_is_drawn(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    json_t *frame = frame_of(before_text, after_text);
    struct top_view view = {0};
    struct buffer out;
    top_view_note(&view, frame);
    draw(frame, &view, 0, true, &out);
    assert_string_equal(
        buffer_text(&out),
        "argosy top  22:13:20  2 nodes, 1 of 2 workers ready, 5 open runs\n"
        "activities  9.0/s done, 10.0/s added  █\n"
        "node m: the node did not answer in time\n"
        "\n"
        "QUEUE  KIND      WAITING  OLDEST  AT WORK  AT MOST  ADDED/S  DONE/S  POLLS\n"
        "q      activity       10   1.50s        6       64     10.0     9.0      1\n"
        "q      workflow        0       -        0        -      4.0     4.0      0  paused\n"
        "\n"
        "GPU           NODE  MODEL  HEALTH     BUSY     USED    MEMORY  HEAT  POWER\n"
        "GPU-1a2b3c4d  n     H100   bad         93%  1.0 GiB  80.0 GiB  61 C      -  xid 79\n"
        "0000:3b:00.0  n            unwatched     -        -         -     -      -\n"
        "\n"
        "WORKER  NODE  STATE     CPU %     MEMORY  SLOTS  TASKS/S  OLDEST TASK  RESTARTS  PIN\n"
        "gpu/0   n     ready        75  100.0 MiB    6/8      9.0        1m01s         1  4-7\n"
        "gpu/1   n     starting      -          -    0/0        -            -         0  not "
        "pinned\n"
        "\n");
    buffer_fini(&out);
    json_decref(frame);
}

/* A frame with as many rows as one likes. */
static json_t *large_frame(size_t workers)
{
    json_t *frame = frame_of(before_text, after_text);
    json_t *rows = json_object_get(frame, "workers");
    json_t *first = json_array_get(rows, 0);
    for (size_t i = 2; i < workers; i++) {
        char name[32];
        json_t *row = json_copy(first);
        snprintf(name, sizeof name, "gpu/%zu", i);
        json_object_set_new(row, "name", json_string(name));
        json_object_set_new(row, "cpuPercent", json_real((double)i));
        json_array_append_new(rows, row);
    }
    return frame;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void nothing_is_wider_or_taller_than_the_terminal(void **state)
{
    (void)state;
    json_t *frame = large_frame(100);
    static const uint32_t columns[] = {1, 20, 40, 80, 200}, rows[] = {1, 2, 5, 10, 24, 60};
    struct top_view view = {0};
    for (size_t i = 0; i < TOP_HISTORY_MAX + 10; i++)
        top_view_note(&view, frame);
    assert_int_equal(view.history_count, TOP_HISTORY_MAX);
    for (size_t i = 0; i < 5 * 6 * TOP_SECTION_COUNT * 2; i++) {
        struct buffer out;
        view.section = (enum top_section)(i / 60);
        view.rows = rows[i / 2 % 6];
        uint32_t width = columns[i / 12 % 5];
        bool is_utf8 = i % 2 == 0;
        draw(frame, &view, width, is_utf8, &out);
        assert_true(count_lines(buffer_text(&out)) <= view.rows);
        char *rest = (char *)(uintptr_t)buffer_text(&out), *line;
        while ((line = strsep(&rest, "\n")) != NULL) {
            if (output_width(line) > width)
                fail_msg("%u columns: %s", width, line);
            for (const char *at = line; !is_utf8 && *at != '\0'; at++)
                assert_in_range(*at, ' ', '~');
        }
        buffer_fini(&out);
    }
    json_decref(frame);
}

static void expect_shown(const json_t *frame, const struct top_view *view, const char *text)
{
    struct buffer out;
    draw(frame, view, 100, true, &out);
    if (strstr(buffer_text(&out), text) == NULL)
        fail_msg("no \"%s\" in\n%s", text, buffer_text(&out));
    buffer_fini(&out);
}

static void views_choose_what_is_shown(void **state)
{
    (void)state;
    json_t *frame = large_frame(100);
    struct top_view view = {.rows = 20, .section = TOP_WORKERS};
    expect_shown(frame, &view, "1 to 12 of 100 workers\n");
    view.scroll = 30;
    expect_shown(frame, &view, "31 to 42 of 100 workers\n");
    view.scroll = 1000; /* beyond the end: from the begin */
    expect_shown(frame, &view, "\ngpu/0 ");
    view.scroll = 0;
    view.sort = TOP_SORT_CPU;
    expect_shown(frame, &view, "PIN\ngpu/99 ");
    expect_shown(frame, &view, "sort: cpu  p pause  q quit\n");
    view.is_paused = true;
    view.trouble = "nobody answers";
    expect_shown(frame, &view, "  paused  ");
    expect_shown(frame, &view, "nobody answers\n");
    expect_shown(NULL, &view, "nobody answers\n");
    view.section = TOP_GPUS;
    expect_shown(frame, &view, "0000:3b:00.0");
    json_decref(frame);
}

static void whatever_comes_is_drawn(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}",
        "{'nodes': 7, 'queues': {}, 'engine': []}",
        "{'nodes': [7, {}, {'processes': [7, {}, {'group': 'g'}], 'gpus': [7, {}]}]}",
        "{'queues': [null, {}]}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct top_view view = {.rows = 24};
        struct buffer out;
        json_t *frame = frame_of(i == 0 ? NULL : odd[i - 1], odd[i]);
        top_view_note(&view, frame);
        draw(frame, &view, 80, true, &out);
        assert_true(out.size > 0);
        buffer_fini(&out);
        json_decref(frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_those_of_the_interval),
        cmocka_unit_test(first_and_new_engines_have_averages),
        cmocka_unit_test(frame_is_drawn),
        cmocka_unit_test(nothing_is_wider_or_taller_than_the_terminal),
        cmocka_unit_test(views_choose_what_is_shown),
        cmocka_unit_test(whatever_comes_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
