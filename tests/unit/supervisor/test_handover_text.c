/* SPDX-License-Identifier: Apache-2.0 */
/* test_handover_text: what one supervisor writes another reads; what is wrong is named. */
#include "tests/test.h"

#include <string.h>

#include "supervisor/handover_text.h"

static struct handover_line read_back(const struct handover_line *line)
{
    struct buffer text = {0};
    struct error err = {0};
    struct handover_line back;
    handover_line_print(line, &text);
    assert_int_equal(text.data[text.size - 1], '\n');
    if (handover_line_read((const char *)text.data, text.size - 1, &back, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(back.kind, line->kind);
    buffer_fini(&text);
    return back;
}

static void each_kind_of_line_is_read_back(void **state)
{
    (void)state;
    struct handover_line line = {.kind = HANDOVER_PROCESS,
                                 .process = {.name = "cpu/0",
                                             .pid = 4711,
                                             .pidfd = 7,
                                             .ready_fd = -1,
                                             .log_fd = 12,
                                             .instance_id = "0e8f",
                                             .device = "GPU-1",
                                             .started_ns = UINT64_MAX,
                                             .state = LIFECYCLE_READY,
                                             .was_ready = true,
                                             .deadline_ns = LIFECYCLE_NEVER,
                                             .restarts = {1, 2, 3, 4, 5, 6}}};
    struct handover_line back = read_back(&line);
    assert_memory_equal(&back.process, &line.process, sizeof line.process);

    line = (struct handover_line){.kind = HANDOVER_NODE,
                                  .node = {.config_path = "/a folder/fleet.effective.yaml",
                                           .lock_fd = 3,
                                           .http_fd = -1,
                                           .is_announced = true,
                                           .last_sequence = 99}};
    back = read_back(&line);
    assert_memory_equal(&back.node, &line.node, sizeof line.node);

    line = (struct handover_line){.kind = HANDOVER_DEATH,
                                  .death = {.at_ns = 5, .status = -1, .cause = DEATH_CAUSE_OOM}};
    back = read_back(&line);
    assert_memory_equal(&back.death, &line.death, sizeof line.death);

    line = (struct handover_line){.kind = HANDOVER_SCALE,
                                  .scale = {.group = "cpu", .processes = 4, .is_kept = true}};
    back = read_back(&line);
    assert_memory_equal(&back.scale, &line.scale, sizeof line.scale);

    line = (struct handover_line){
        .kind = HANDOVER_LOST,
        .lost = {.sequence = 8, .pid = 9, .reason = "no progress, signal 9 (killed)"}};
    back = read_back(&line);
    assert_memory_equal(&back.lost, &line.lost, sizeof line.lost);
}

static int read_text(const char *text, struct handover_line *ret_line, struct error *err)
{
    return handover_line_read(text, strlen(text), ret_line, err);
}

static void missing_keys_are_zero(void **state)
{
    (void)state;
    struct handover_line line;
    struct error err = {0};
    assert_int_equal(read_text("process name=cpu/0", &line, &err), 0);
    assert_string_equal(line.process.name, "cpu/0");
    assert_int_equal(line.process.pid, 0);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "handover: unknown word \"\""},
        {"gizmo a=1", "handover: unknown word \"gizmo\""},
        {"process pid", "handover: \"pid\" is no pair"},
        {"process color=red", "handover: process has no key \"color\""},
        {"process pid=x", "handover: process: pid: \"x\" is no such value"},
        {"process pid=99999999999", "handover: process: pid: \"99999999999\" is no such value"},
        {"process is_stale=2", "handover: process: is_stale: \"2\" is no such value"},
        {"process name=a state=8", "handover: process a: unknown state or cause"},
        {"process name=a cause=-1", "handover: process a: unknown state or cause"},
        {"process name=a pid=7 pidfd=-1", "handover: process a: there is no such process"},
        {"death cause=99", "handover: a death of an unknown cause"},
        {"scale group=a processes=1025", "handover: group a: too many processes"},
        {"process started_ns=-1", "handover: process: started_ns: \"-1\" is no such value"},
        {"process instance_id=0123456789012345678901234567890123456789",
         "handover: process: instance_id: \"0123456789012345678901234567890123456789\" is no such "
         "value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct handover_line line;
        struct error err = {0};
        assert_int_equal(read_text(cases[i].text, &line, &err), ERR_INVALID);
        assert_string_equal(err.text, cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_line_is_read_back),
        cmocka_unit_test(missing_keys_are_zero),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
