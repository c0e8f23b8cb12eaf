/* SPDX-License-Identifier: Apache-2.0 */
/* test_command: finding a command by its words, exit statuses, on a tree of the test's own. */
#include "cli/command.h"

#include <string.h>

#include "tests/test.h"

static int run_count;
static int run_code;
static const char *run_argument;

static int run(const struct invocation *invocation, struct error *err)
{
    run_count++;
    run_argument = invocation->parsed.argument_count > 0 ? invocation->parsed.arguments[0] : NULL;
    return run_code < 0 ? error_set(err, run_code, "as asked for") : run_code;
}

static const struct command dev = {.name = "dev",
                                   .summary = "s",
                                   .arguments = "",
                                   .example = "x",
                                   .options = {{common_options}},
                                   .run = run};
static const struct command group = {
    .name = "workflow", .summary = "s", .arguments = "", .example = "x"};
static const struct command start = {.name = "workflow start",
                                     .summary = "s",
                                     .arguments = "[ID]",
                                     .arguments_max = 1,
                                     .example = "x",
                                     .options = {{common_options}},
                                     .run = run};
static const struct command stop = {.name = "workflow stop",
                                    .summary = "s",
                                    .arguments = "",
                                    .example = "x",
                                    .options = {{common_options}},
                                    .run = run};

const struct command *const command_table[] = {&dev, &group, &start, &stop, NULL};

static const struct command *find(const char *first, const char *second, size_t *ret_taken,
                                  struct error *err)
{
    const char *words[] = {first, second};
    const struct command *command = NULL;
    size_t count = first == NULL ? 0 : second == NULL ? 1 : 2;
    return command_find(words, count, &command, ret_taken, err) == 0 ? command : NULL;
}

static void commands_are_found_by_their_words(void **state)
{
    (void)state;
    size_t taken;
    assert_ptr_equal(find("dev", NULL, &taken, NULL), &dev);
    assert_int_equal(taken, 1);
    assert_ptr_equal(find("dev", "workflow", &taken, NULL), &dev);
    assert_int_equal(taken, 1);
    assert_ptr_equal(find("workflow", "start", &taken, NULL), &start);
    assert_int_equal(taken, 2);
    assert_ptr_equal(find("workflow", NULL, &taken, NULL), &group);
    assert_ptr_equal(find("workflow", "--help", &taken, NULL), &group);
    assert_int_equal(taken, 1);
}

static void unknown_commands_get_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *text;
    } rows[] = {
        {"workflwo", NULL, "unknown command \"workflwo\"; did you mean \"workflow\"?"},
        {"workflow", "strat",
         "unknown command \"workflow strat\"; did you mean \"workflow start\"?"},
        {"workflow", "dev", "unknown command \"workflow dev\""},
        {"start", NULL, "unknown command \"start\""},
        {"zzz", NULL, "unknown command \"zzz\""},
        {NULL, NULL, "a command is missing"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {0};
        size_t taken;
        assert_null(find(rows[i].first, rows[i].second, &taken, &err));
        assert_string_equal(err.text, rows[i].text);
    }
}

static int main_with(const char *a, const char *b, const char *c)
{
    const char *const argv[] = {"argosy", a, b, c};
    int argc = a == NULL ? 1 : b == NULL ? 2 : c == NULL ? 3 : 4;
    return command_main(argc, argv);
}

static void wrong_command_lines_run_nothing(void **state)
{
    (void)state;
    run_count = 0;
    assert_int_equal(main_with(NULL, NULL, NULL), EXIT_USAGE);
    assert_int_equal(main_with("zzz", NULL, NULL), EXIT_USAGE);
    assert_int_equal(main_with("workflow", NULL, NULL), EXIT_USAGE);
    assert_int_equal(main_with("dev", "--zzz", NULL), EXIT_USAGE);
    assert_int_equal(main_with("dev", "argument", NULL), EXIT_USAGE);
    assert_int_equal(main_with("dev", "--output", "xml"), EXIT_USAGE);
    assert_int_equal(main_with("help", "zzz", NULL), EXIT_USAGE);
    assert_int_equal(run_count, 0);
}

static void help_runs_nothing_and_succeeds(void **state)
{
    (void)state;
    run_count = 0;
    assert_int_equal(main_with("--help", NULL, NULL), EXIT_OK);
    assert_int_equal(main_with("help", NULL, NULL), EXIT_OK);
    assert_int_equal(main_with("help", "workflow", "start"), EXIT_OK);
    assert_int_equal(main_with("workflow", "--help", NULL), EXIT_OK);
    assert_int_equal(main_with("dev", "--zzz", "--help"), EXIT_OK);
    assert_int_equal(main_with("dev", "-h", NULL), EXIT_OK);
    assert_int_equal(run_count, 0);
}

static void a_commands_status_and_errors_become_the_programs(void **state)
{
    (void)state;
    static const struct {
        int code, status;
    } rows[] = {
        {0, EXIT_OK},
        {EXIT_FAILED, EXIT_FAILED},
        {EXIT_USAGE, EXIT_USAGE},
        {ERR_INVALID, EXIT_BAD_INPUT},
        {ERR_NOT_FOUND, EXIT_NOT_FOUND},
        {ERR_EXISTS, EXIT_ALREADY_EXISTS},
        {ERR_UNAVAILABLE, EXIT_UNAVAILABLE},
        {ERR_TIMEOUT, EXIT_TIMEOUT},
        {ERR_CONFIG, EXIT_BAD_CONFIG},
        {ERR_INTERNAL, EXIT_INTERNAL},
        {ERR_STATE, EXIT_FAILED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run_code = rows[i].code;
        assert_int_equal(main_with("workflow", "start", "id-1"), rows[i].status);
        assert_string_equal(run_argument, "id-1");
        assert_int_equal(main_with("dev", "--output", "json"), rows[i].status);
    }
    run_code = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found_by_their_words),
        cmocka_unit_test(unknown_commands_get_the_nearest),
        cmocka_unit_test(wrong_command_lines_run_nothing),
        cmocka_unit_test(help_runs_nothing_and_succeeds),
        cmocka_unit_test(a_commands_status_and_errors_become_the_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
