/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet's log when nobody reads it: held, then dropped and counted, and whole again. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "supervisor/log/log_output.h"

#define PIPE_SIZE 16384

static int ends[2];
static char text[4 * LOG_OUTPUT_HELD];
static size_t text_size;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE), PIPE_SIZE);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    log_output_open(ends[1]);
    text_size = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    log_output_close(0);
    close(ends[1]);
    return 0;
}

static void write_numbers(int first, int count)
{
    char record[32];
    for (int i = first; i < first + count; i++)
        log_output_write(record, (size_t)snprintf(record, sizeof record, "record %06d\n", i));
}

static void take_all(void)
{
    ssize_t size;
    while ((size = read(ends[0], text + text_size, sizeof text - 1 - text_size)) > 0)
        text_size += (size_t)size;
    text[text_size] = '\0';
}

/* Reads and tries again until nothing is held. */
static void drain(void)
{
    take_all();
    while (log_output_deadline_ns() != UINT64_MAX) {
        log_output_tick(log_output_deadline_ns());
        take_all();
    }
}

/* The records from first on, in order and whole; how many there are. */
static int check_numbers(const char *at, int first)
{
    int number = first;
    char record[32];
    for (; strncmp(at, "record ", 7) == 0; number++) {
        snprintf(record, sizeof record, "record %06d\n", number);
        assert_memory_equal(at, record, strlen(record));
        at += strlen(record);
    }
    return number - first;
}

static void what_is_read_late_is_held(void **state)
{
    (void)state;
    int flags = fcntl(ends[1], F_GETFL);
    write_numbers(0, 4 * PIPE_SIZE / 14);
    assert_true(log_output_deadline_ns() != UINT64_MAX);
    assert_true(log_output_deadline_ns() <= clock_monotonic_ns() + NS_PER_S);
    drain();
    assert_int_equal(check_numbers(text, 0), 4 * PIPE_SIZE / 14);
    assert_int_equal(strlen(text), 14 * (4 * PIPE_SIZE / 14));
    assert_int_equal(fcntl(ends[1], F_GETFL), flags); /* they are not ours to change */
}

static void what_is_too_much_is_counted(void **state)
{
    (void)state;
    const int count = 2 * LOG_OUTPUT_HELD / 14;
    write_numbers(0, count);
    drain();
    int kept = check_numbers(text, 0);
    assert_in_range(kept, (LOG_OUTPUT_HELD + PIPE_SIZE / 2) / 14, count - 1);
    char expected[64];
    snprintf(expected, sizeof expected, "event=log.dropped lines=%d\n", count - kept);
    assert_non_null(strstr(text, expected));
    text_size = 0;
    write_numbers(count, 3);
    drain();
    assert_int_equal(check_numbers(text, count), 3);
    assert_null(strstr(text, "log.dropped"));
}

static void a_reader_that_is_gone_is_no_harm(void **state)
{
    (void)state;
    close(ends[0]);
    const int count = 2 * LOG_OUTPUT_HELD / 14;
    write_numbers(0, count);
    log_output_tick(log_output_deadline_ns());
    log_output_close(1000);
    assert_true(log_output_deadline_ns() == UINT64_MAX);
    ends[0] = open("/dev/null", O_RDONLY);
}

static void the_end_waits_for_a_reader(void **state)
{
    (void)state;
    write_numbers(0, 2 * PIPE_SIZE / 14);
    pid_t reader = fork();
    if (reader == 0) {
        /* as a reader that is late, until all has come */
        fcntl(ends[0], F_SETFL, 0);
        while (text_size < 14 * (2 * PIPE_SIZE / 14))
            text_size += (size_t)read(ends[0], text + text_size, sizeof text - text_size);
        _exit(0);
    }
    log_output_close(20000);
    close(ends[1]);
    int status = -1;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    ends[1] = open("/dev/null", O_WRONLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_read_late_is_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_much_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_is_gone_is_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_waits_for_a_reader, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
