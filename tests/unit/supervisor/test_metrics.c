/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_metrics: what /metrics says is Prometheus' text format, keeps its conventions, and is what
 * docs/operations.md lists: neither has a name that the other lacks.
 */
#include "tests/test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/link/metrics.h"

#define FAMILIES_MAX 64
#define TEXT_SIZE    1024

struct family {
    char name[128], type[16];
    bool is_documented;
};

static struct status_process processes[4];
static struct status status;
static Api__QueueStats queue, sticky;
static Api__QueueStats *queues[] = {&queue, &sticky};
static Api__MethodCount method;
static Api__MethodCount *methods[] = {&method};
static int64_t commit_bounds[] = {1000, 10000}, commit_counts[] = {3, 2, 1};
static Api__GetEngineStatsResponse engine;
static struct metrics_view view;
static struct buffer page;
static struct family families[FAMILIES_MAX];
static size_t family_count;

static void fill_processes(void)
{
    static const char *const names[] = {"engine", "cpu/0", "cpu/1", "cpu/2"};
    memset(processes, 0, sizeof processes);
    for (size_t i = 0; i < 4; i++) {
        strcpy(processes[i].name, names[i]);
        strcpy(processes[i].group, i == 0 ? "" : "cpu");
        processes[i].pid = getpid();
        processes[i].state = LIFECYCLE_READY;
        processes[i].started_ns = 90 * NS_PER_S;
    }
    processes[1].restarts[DEATH_KIND_SIGNAL] = 2;
    processes[1].pins_refused = 3;
    processes[2].is_drained = true;
    processes[2].state = LIFECYCLE_STOPPED;
    processes[2].pid = 0;
    processes[1].memory_limit_bytes = 1 << 30;
    processes[1].pins_refused = 3;
    processes[1].is_crash_looping = true;
    /* It leaves: a reload took it away. Between it and its group stands another one. */
    processes[3].is_retired = true;
    processes[3].state = LIFECYCLE_DRAINING;
    strcpy(processes[2].group, "other");
    status = (struct status){.heartbeat_ns = 98500 * NS_PER_MS,
                             .phase = STATUS_PHASE_RUNNING,
                             .started_ns = 40 * NS_PER_S,
                             .process_count = 4,
                             .processes = processes};
}

static void fill_gpus(void)
{
    status.gpu_count = 2;
    status.gpus[0] = (struct status_gpu){.uuid = "GPU-a",
                                         .health = GPU_STATE_BAD,
                                         .seen_ns = 1,
                                         .utilization_percent = 7,
                                         .temperature_celsius = 61,
                                         .power_watts = 250,
                                         .memory_used_bytes = INT64_C(5) << 30,
                                         .memory_total_bytes = INT64_C(80) << 30,
                                         .ecc_errors = 2,
                                         .ecc_errors_of_life = 9,
                                         .corrected_count = 5,
                                         .rows_remapped = 3,
                                         .row_pending = 1,
                                         .last_xid = 79,
                                         .xid_count = 4,
                                         .is_throttled = true};
    /* one that nobody has looked at */
    status.gpus[1] = (struct status_gpu){.uuid = "GPU-b",
                                         .utilization_percent = STATUS_UNKNOWN,
                                         .temperature_celsius = STATUS_UNKNOWN,
                                         .power_watts = STATUS_UNKNOWN,
                                         .memory_used_bytes = STATUS_UNKNOWN,
                                         .memory_total_bytes = STATUS_UNKNOWN,
                                         .ecc_errors = STATUS_UNKNOWN,
                                         .ecc_errors_of_life = STATUS_UNKNOWN,
                                         .rows_remapped = STATUS_UNKNOWN,
                                         .row_pending = STATUS_UNKNOWN,
                                         .row_failure = STATUS_UNKNOWN};
}

static void fill_engine(void)
{
    api__get_engine_stats_response__init(&engine);
    api__queue_stats__init(&queue);
    api__queue_stats__init(&sticky);
    api__method_count__init(&method);
    queue.queue = "a\"q\\\n"; /* whatever a name holds, a line stays a line */
    queue.kind = "activity";
    queue.backlog = 7;
    queue.backlog_age_us = 1500000;
    queue.slots = 4;
    queue.slots_used = 3;
    sticky.queue = "";
    sticky.kind = "sticky";
    method.method = "Hello";
    method.count = 4;
    engine.queues = queues;
    engine.n_queues = 2;
    engine.requests = methods;
    engine.n_requests = 1;
    engine.commit_bounds_us = commit_bounds;
    engine.n_commit_bounds_us = 2;
    engine.commit_counts = commit_counts;
    engine.n_commit_counts = 3;
    engine.commit_sum_us = 123456;
}

/* Reads the families of the page, in their order. */
static void read_families(void)
{
    char text[TEXT_SIZE];
    const char *line = buffer_text(&page);
    family_count = 0;
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
        struct family *family = &families[family_count];
        if (sscanf(text, "# TYPE %127s %15s", family->name, family->type) != 2)
            continue;
        family->is_documented = false;
        family_count++;
        assert_true(family_count < FAMILIES_MAX);
    }
}

static int set_up(void **state)
{
    (void)state;
    fill_processes();
    fill_gpus();
    fill_engine();
    view = (struct metrics_view){.status = &status,
                                 .now_ns = 100 * NS_PER_S,
                                 .now_utc_us = INT64_C(1700000000000000),
                                 .is_engine_up = true,
                                 .engine = &engine};
    page = (struct buffer){0};
    metrics_print(&view, &page);
    read_families();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_fini(&page);
    return 0;
}

static struct family *find_family(const char *name)
{
    for (size_t i = 0; i < family_count; i++) {
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    }
    return NULL;
}

static void expect_line(const char *line)
{
    char whole[TEXT_SIZE];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(buffer_text(&page), whole) == NULL)
        fail_msg("no line %s in\n%s", line, buffer_text(&page));
}

static void values_are_told(void **state)
{
    (void)state;
    expect_line("argosy_supervisor_heartbeat_age_seconds 1.500000");
    expect_line("argosy_workers{group=\"cpu\",state=\"ready\"} 1");
    expect_line("argosy_build_info{version=\"" ARGOSY_VERSION "\"} 1");
    expect_line("argosy_supervisor_start_time_seconds 1699999940.000000");
    expect_line("argosy_workers{group=\"cpu\",state=\"draining\"} 1");
    expect_line("argosy_workers{group=\"other\",state=\"drained\"} 1");
    expect_line("argosy_workers{group=\"other\",state=\"stopped\"} 0");
    expect_line("argosy_process_memory_limit_bytes{process=\"cpu/0\"} 1073741824");
    expect_line("argosy_process_pins_refused_total{process=\"cpu/0\"} 3");
    expect_line("argosy_process_pins_refused_total{process=\"engine\"} 0");
    expect_line("argosy_process_crash_looping{process=\"cpu/0\"} 1");
    assert_null(strstr(buffer_text(&page), "argosy_process_memory_limit_bytes{process=\"engine\""));
    assert_null(strstr(buffer_text(&page), "argosy_process_open_fds{process=\"cpu/1\""));
    assert_non_null(strstr(buffer_text(&page), "\nargosy_process_open_fds{process=\"cpu/0\"} "));
    expect_line("argosy_process_restarts_total{process=\"cpu/0\",reason=\"signal\"} 2");
    expect_line("argosy_process_pins_refused_total{process=\"cpu/0\"} 3");
    expect_line("argosy_process_start_time_seconds{process=\"engine\"} 1699999990.000000");
    expect_line("argosy_engine_requests_total{method=\"Hello\"} 4");
    expect_line("argosy_task_queue_backlog{queue=\"a\\\"q\\\\\\n\",kind=\"activity\"} 7");
    expect_line("argosy_task_queue_backlog_age_seconds{queue=\"a\\\"q\\\\\\n\",kind=\"activity\"} "
                "1.500000");
    expect_line(
        "argosy_task_queue_slots{queue=\"a\\\"q\\\\\\n\",kind=\"activity\",state=\"free\"} 1");
}

static void gpus_are_told(void **state)
{
    (void)state;
    expect_line("argosy_gpu_state{gpu=\"0\",uuid=\"GPU-a\",state=\"bad\"} 1");
    expect_line("argosy_gpu_state{gpu=\"0\",uuid=\"GPU-a\",state=\"well\"} 0");
    expect_line("argosy_gpu_state{gpu=\"1\",uuid=\"GPU-b\",state=\"unwatched\"} 1");
    expect_line("argosy_gpu_utilization_ratio{gpu=\"0\",uuid=\"GPU-a\"} 0.070000");
    expect_line("argosy_gpu_temperature_celsius{gpu=\"0\",uuid=\"GPU-a\"} 61");
    expect_line("argosy_gpu_power_watts{gpu=\"0\",uuid=\"GPU-a\"} 250");
    expect_line("argosy_gpu_memory_used_bytes{gpu=\"0\",uuid=\"GPU-a\"} 5368709120");
    expect_line("argosy_gpu_memory_size_bytes{gpu=\"0\",uuid=\"GPU-a\"} 85899345920");
    expect_line("argosy_gpu_throttled{gpu=\"0\",uuid=\"GPU-a\"} 1");
    expect_line("argosy_gpu_ecc_uncorrected_errors_total{gpu=\"0\",uuid=\"GPU-a\"} 2");
    expect_line("argosy_gpu_ecc_uncorrected_lifetime_errors_total{gpu=\"0\",uuid=\"GPU-a\"} 9");
    expect_line("argosy_gpu_ecc_corrected_events_total{gpu=\"0\",uuid=\"GPU-a\"} 5");
    expect_line("argosy_gpu_remapped_rows{gpu=\"0\",uuid=\"GPU-a\"} 3");
    expect_line("argosy_gpu_row_remap_pending{gpu=\"0\",uuid=\"GPU-a\"} 1");
    expect_line("argosy_gpu_row_remap_failed{gpu=\"0\",uuid=\"GPU-a\"} 0");
    expect_line("argosy_gpu_xid_last{gpu=\"0\",uuid=\"GPU-a\"} 79");
    expect_line("argosy_gpu_xids_total{gpu=\"0\",uuid=\"GPU-a\"} 4");
    /* what nobody has measured is not told */
    expect_line("argosy_gpu_xids_total{gpu=\"1\",uuid=\"GPU-b\"} 0");
    assert_null(strstr(buffer_text(&page), "argosy_gpu_throttled{gpu=\"1\""));
    assert_null(strstr(buffer_text(&page), "argosy_gpu_temperature_celsius{gpu=\"1\""));
}

static void node_without_gpus_tells_of_none(void **state)
{
    (void)state;
    status.gpu_count = 0;
    buffer_fini(&page);
    page = (struct buffer){0};
    metrics_print(&view, &page);
    assert_null(strstr(buffer_text(&page), "argosy_gpu_"));
}

/* Buckets are cumulative, and the last one is the count. */
static void histogram_is_cumulative(void **state)
{
    (void)state;
    expect_line("argosy_engine_commit_seconds_bucket{le=\"0.001\"} 3");
    expect_line("argosy_engine_commit_seconds_bucket{le=\"0.01\"} 5");
    expect_line("argosy_engine_commit_seconds_bucket{le=\"+Inf\"} 6");
    expect_line("argosy_engine_commit_seconds_sum 0.123456");
    expect_line("argosy_engine_commit_seconds_count 6");
}

static void engine_that_is_away_has_no_figures(void **state)
{
    (void)state;
    view.engine = NULL;
    view.is_engine_up = false;
    buffer_fini(&page);
    page = (struct buffer){0};
    metrics_print(&view, &page);
    expect_line("argosy_engine_up 0");
    assert_null(strstr(buffer_text(&page), "argosy_task_queue"));
    assert_non_null(strstr(buffer_text(&page), "argosy_workers{"));
}

/* The name of a sample's family; a histogram's samples have endings of their own. */
static bool belongs_to(const char *sample, const struct family *family)
{
    size_t length = strcspn(sample, "{ "), size = strlen(family->name);
    if (strncmp(sample, family->name, size) != 0)
        return false;
    const char *rest = sample + size;
    size_t rest_length = length - size;
    if (strcmp(family->type, "histogram") != 0)
        return rest_length == 0;
    return (rest_length == 7 && strncmp(rest, "_bucket", 7) == 0) ||
           (rest_length == 4 && strncmp(rest, "_sum", 4) == 0) ||
           (rest_length == 6 && strncmp(rest, "_count", 6) == 0);
}

/* HELP, TYPE, then the samples of that family and of no other; each family once. */
static void page_is_well_formed(void **state)
{
    (void)state;
    const struct family *family = NULL;
    char expected[TEXT_SIZE] = "";
    size_t seen = 0, samples = 0;
    assert_true(page.size > 0 && page.data[page.size - 1] == '\n');
    char *text = strdup(buffer_text(&page)), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        char *end;
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(expected, sizeof expected, "# TYPE %.*s ", (int)strcspn(line + 7, " "),
                     line + 7);
            assert_int_equal(line[strlen(line) - 1], '.'); /* a sentence */
        } else if (line[0] == '#') {
            assert_memory_equal(line, expected, strlen(expected));
            family = &families[seen++];
            assert_ptr_equal(find_family(family->name), family);
        } else {
            assert_non_null(family);
            if (!belongs_to(line, family))
                fail_msg("%s is not of %s", line, family->name);
            strtod(strrchr(line, ' ') + 1, &end);
            assert_true(*end == '\0');
            samples++;
        }
    }
    free(text);
    assert_int_equal(seen, family_count);
    assert_true(samples > family_count);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Prometheus refuses a page on which a series stands twice. */
static void each_series_stands_once(void **state)
{
    (void)state;
    char *lines[1024];
    size_t count = 0;
    char *text = strdup(buffer_text(&page)), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line == '\0' || *line == '#')
            continue;
        *strrchr(line, ' ') = '\0';
        assert_true(count < sizeof lines / sizeof lines[0]);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof lines[0], by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(lines[i - 1], lines[i]) == 0)
            fail_msg("%s stands twice", lines[i]);
    }
    free(text);
}

/* {key="value",...}: keys as Prometheus has them, none of its own ("__", le but for histograms);
 * values with \\, \" and \n alone. Returns what is behind. */
static const char *check_labels(const char *at, bool is_histogram)
{
    while (*at == '{' || *at == ',') {
        at++;
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        assert_true(length > 0 && strncmp(at, "__", 2) != 0);
        assert_true(is_histogram || strncmp(at, "le=", 3) != 0);
        at += length;
        assert_memory_equal(at, "=\"", 2);
        for (at += 2; *at != '"'; at++) {
            assert_true(*at != '\0' && *at != '\n');
            if (*at == '\\')
                assert_non_null(strchr("\\\"n", *++at));
        }
        at++;
    }
    assert_int_equal(*at, '}');
    return at + 1;
}

static void labels_keep_the_conventions(void **state)
{
    (void)state;
    const char *line = buffer_text(&page);
    size_t seen = 0;
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const char *name_end = line + strcspn(line, "{ ");
        if (*line == '#' || *name_end != '{')
            continue;
        bool is_bucket = name_end - line > 7 && strncmp(name_end - 7, "_bucket", 7) == 0;
        assert_int_equal(*check_labels(name_end, is_bucket), ' ');
        seen++;
    }
    assert_true(seen > 50);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* https://prometheus.io/docs/practices/naming: one prefix, base units, counters end in _total. */
static void names_keep_the_conventions(void **state)
{
    (void)state;
    static const char *const wrong_units[] = {"_ms", "_us", "_ns",  "_milliseconds", "_minutes",
                                              "_kb", "_mb", "_kib", "_mib",          "_percent"};
    for (size_t i = 0; i < family_count; i++) {
        const struct family *family = &families[i];
        assert_memory_equal(family->name, "argosy_", 7);
        assert_int_equal(strspn(family->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(family->name));
        bool is_counter = strcmp(family->type, "counter") == 0;
        if (is_counter != ends_with(family->name, "_total"))
            fail_msg("%s is a %s", family->name, family->type);
        if (!is_counter && strcmp(family->type, "gauge") != 0 &&
            strcmp(family->type, "histogram") != 0)
            fail_msg("%s is a %s", family->name, family->type);
        for (size_t u = 0; u < sizeof wrong_units / sizeof wrong_units[0]; u++)
            assert_false(ends_with(family->name, wrong_units[u]));
        if (strstr(family->name, "_age") != NULL || strstr(family->name, "_time") != NULL ||
            strcmp(family->type, "histogram") == 0)
            assert_non_null(strstr(family->name, "_seconds"));
        if (strstr(family->name, "_memory") != NULL)
            assert_true(ends_with(family->name, "_bytes"));
        /* Endings that Prometheus makes itself. */
        static const char *const reserved[] = {"_count", "_sum", "_bucket", "_created"};
        for (size_t r = 0; r < sizeof reserved / sizeof reserved[0]; r++)
            assert_false(ends_with(family->name, reserved[r]));
    }
}

/* The rows of the page's table of metrics: | `name` | type | ... */
static void documentation_lists_them_all(void **state)
{
    (void)state;
    char path[TEXT_SIZE], line[TEXT_SIZE], name[128], type[16];
    const char *source_dir = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/docs/operations.md", source_dir != NULL ? source_dir : ".");
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "| `argosy_%119[a-z_]` | %15s |", name, type) != 2)
            continue;
        char whole[136];
        snprintf(whole, sizeof whole, "argosy_%s", name);
        struct family *family = find_family(whole);
        if (family == NULL)
            fail_msg("%s is documented, and not told", whole);
        assert_string_equal(type, family->type);
        assert_false(family->is_documented);
        family->is_documented = true;
    }
    fclose(file);
    for (size_t i = 0; i < family_count; i++) {
        if (!families[i].is_documented)
            fail_msg("%s is not documented", families[i].name);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_told),
        TEST(gpus_are_told),
        TEST(node_without_gpus_tells_of_none),
        TEST(histogram_is_cumulative),
        TEST(engine_that_is_away_has_no_figures),
        TEST(page_is_well_formed),
        TEST(names_keep_the_conventions),
        TEST(each_series_stands_once),
        TEST(labels_keep_the_conventions),
        TEST(documentation_lists_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
