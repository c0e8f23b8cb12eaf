/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_tree: a fleet as people see it, on terminals of several widths. */
#include "cli/fleet_tree.h"

#include <string.h>

#include "cli/output.h"
#include "tests/test.h"

static const char fleet_text[] =
    "{'nodes': [{'node': 'node-1', 'phase': 'running', 'uptimeUs': '80000000', 'http': "
    "'[::1]:9464',"
    " 'heartbeatAgeUs': '1000', 'processes': ["
    "  {'name': 'engine', 'group': '', 'pid': '100', 'state': 'ready', 'uptimeUs': '80000000',"
    "   'restarts': '0', 'memoryBytes': '9437184', 'cpus': '0', 'stale': true},"
    "  {'name': 'gpu/0', 'group': 'gpu', 'pid': '102', 'state': 'ready', 'uptimeUs': '3500000',"
    "   'restarts': '2', 'memoryBytes': '104857600', 'cpus': '4-7', 'memoryNode': 1,"
    "   'gpu': 'GPU-1a2b3c4d5e6f', 'death': 'signal 9 (killed)', 'deathAgeUs': '3600000',"
    "   'queues': [{'queue': 'gpu-queue', 'kind': 'activity', 'slots': '32', 'slotsUsed': '2'},"
    "              {'queue': 'bulk', 'kind': 'activity', 'slots': '4', 'slotsUsed': '0'}],"
    "   'tasks': ["
    "    {'type': 'run_inference', 'kind': 'activity', 'workflowId': 'w-1', 'runningUs': '10000',"
    "     'attempt': 1},"
    "    {'type': 'embed', 'kind': 'activity', 'workflowId': 'w-2', 'runningUs': '61000000',"
    "     'attempt': 2, 'progress': '{\\'done\\':5,\\'total\\':10,\\'vectors\\':\\'AAA'}]},"
    "  {'name': 'gpu/1', 'group': 'gpu', 'pid': '0', 'state': 'backoff', 'restarts': '5',"
    "   'pinsRefused': '3', 'retired': true, 'crashLooping': true, 'death': 'exit 1', "
    "'deathAgeUs': '50000'}],"
    " 'gpus': [{'uuid': 'GPU-1a2b3c4d5e6f', 'model': 'H100', 'health': 'bad', 'reason': 'xid 79',"
    "   'utilizationPercent': 93, 'temperatureCelsius': 61, 'memoryUsedBytes': '1073741824',"
    "   'memoryTotalBytes': '85899345920'}],"
    " 'groups': [{'group': 'gpu', 'workers': 2, 'ready': 1, 'slots': 36, 'slotsUsed': 2,"
    "   'restarts': 7, 'memoryBytes': 104857600}]},"
    " {'node': 'node-2', 'error': 'the node did not answer in time'}],"
    "'others': [{'identity': 'me@here', 'queues': [], 'tasks': [{'type': 'T', 'kind': 'workflow',"
    "   'workflowId': 'w\\u001b', 'runningUs': '1000', 'progress': ''}]}],"
    "'queues': [{'queue': 'gpu-queue', 'kind': 'activity', 'backlog': '12',"
    "   'backlogAgeUs': '1500000', 'inFlight': '2', 'maxInFlight': '64', 'slots': '36',"
    "   'slotsUsed': '2', 'paused': true}],"
    "'tasksLeftOut': 3}";

/* JSON with ' for ". */
static json_t *load(const char *text)
{
    char quoted[8192];
    size_t i = 0;
    for (; text[i] != '\0'; i++)
        quoted[i] = text[i] == '\'' && (i == 0 || text[i - 1] != '\\') ? '"' : text[i];
    quoted[i] = '\0';
    for (char *at = quoted; (at = strstr(at, "\\'")) != NULL;)
        at[1] = '"';
    json_error_t why;
    json_t *json = json_loads(quoted, 0, &why);
    if (json == NULL)
        fail_msg("%s at %d", why.text, why.position);
    return json;
}

static void draw(const struct style *style, const char *text, size_t tasks_max, struct buffer *out)
{
    json_t *fleet = load(text);
    struct drawing drawing = {.style = style};
    fleet_tree_draw(fleet, tasks_max, &drawing);
    json_decref(fleet);
    *out = drawing.text;
}

static void tree_is_drawn(void **state)
{
    (void)state;
    struct style style = {.is_utf8 = true};
    struct buffer out;
    draw(&style, fleet_text, 10, &out);
    assert_string_equal(
        buffer_text(&out),
        "node node-1: running, up 1m20s, http [::1]:9464\n"
        "   PROCESS   STATE          UP  RESTARTS      MEMORY      PID"
        "  SLOTS                     PIN\n"
        "├─ engine    ready       1m20s         0     9.0 MiB      100"
        "  -                         0, to be restarted\n"
        "├─ gpu GPU-1a2b3c4d  H100  bad (xid 79), 93 % busy, 1.0 GiB of 80.0 GiB, 61 C\n"
        "└─ group gpu: 1 of 2 ready, 2/36 slots, 7 restarts, 100.0 MiB\n"
        "   ├─ gpu/0  ready       3.50s         2   100.0 MiB      102"
        "  gpu-queue 2/32, bulk 0/4  4-7 node 1 GPU-1a2b3c4d\n"
        "   │     last death 3.60s ago: signal 9 (killed)\n"
        "   │     embed  w-2  1m01s  attempt 2  [#####.....] 5/10\n"
        "   │     run_inference  w-1  10ms  attempt 1\n"
        "   └─ gpu/1  backoff         -         5           -        -"
        "  -                         not pinned (refused), leaves\n"
        "         last death 50ms ago: exit 1; dies again and again\n"
        "node node-2: the node did not answer in time\n"
        "workers that no node tells of\n"
        "└─ me@here  -\n"
        "         T (workflow)  w\\x1b  1ms\n"
        "queues\n"
        "  gpu-queue  activity  12 waiting (oldest 1.50s), 2 at workers (at most 64), 2/36 slots, "
        "paused\n"
        "and 3 more tasks\n");
    buffer_fini(&out);
}

static void tasks_are_bounded(void **state)
{
    (void)state;
    struct style style = {.is_utf8 = true};
    struct buffer out;
    draw(&style, fleet_text, 1, &out);
    assert_non_null(strstr(buffer_text(&out), "  embed  w-2"));
    assert_non_null(strstr(buffer_text(&out), "   │     and 1 more\n"));
    assert_null(strstr(buffer_text(&out), "run_inference"));
    buffer_fini(&out);
}

/* Nothing is wider than the terminal, and what matters most stays. */
static void narrow_terminals_lose_what_matters_least(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 20, 40, 60, 80, 120, 200};
    for (size_t i = 0; i < 2 * sizeof widths / sizeof widths[0]; i++) {
        struct style style = {.columns = widths[i / 2], .is_utf8 = i % 2 == 0};
        struct buffer out;
        draw(&style, fleet_text, 10, &out);
        char *rest = (char *)(uintptr_t)buffer_text(&out), *line;
        while ((line = strsep(&rest, "\n")) != NULL) {
            if (output_width(line) > style.columns)
                fail_msg("%u columns: %s", style.columns, line);
            for (const char *at = line; !style.is_utf8 && *at != '\0'; at++)
                assert_in_range(*at, ' ', '~');
        }
        buffer_fini(&out);
    }
    struct style style = {.columns = 80, .is_utf8 = false};
    struct buffer out;
    draw(&style, fleet_text, 0, &out);
    assert_null(strstr(buffer_text(&out), " PID "));
    assert_non_null(strstr(buffer_text(&out), "   |- gpu/0  ready"));
    assert_non_null(strstr(buffer_text(&out), "gpu-queue 2/32"));
    buffer_fini(&out);
}

static void whatever_comes_is_drawn(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}",
        "{'nodes': 7, 'queues': {}, 'others': null}",
        "{'nodes': [{}]}",
        "{'nodes': [7, {'processes': [7, {'name': 3, 'tasks': [null, {}], 'queues': [1]}]}]}",
        "{'nodes': [{'processes': [{'name': 'x', 'group': 'g'}], 'groups': [{}], 'gpus': [{}]}]}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct style style = {.columns = 80, .is_utf8 = true};
        struct buffer out;
        draw(&style, odd[i], 10, &out);
        assert_true(out.size > 0);
        buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_is_drawn),
        cmocka_unit_test(tasks_are_bounded),
        cmocka_unit_test(narrow_terminals_lose_what_matters_least),
        cmocka_unit_test(whatever_comes_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
