/* SPDX-License-Identifier: Apache-2.0 */
/* A process's output: lines cut at every boundary, the rate and what it leaves out, what is kept.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/time_unit.h"
#include "supervisor/log/log_ring.h"
#include "supervisor/log/log_stream.h"

static const struct log_line_writer worker = {"worker-cpu", "cpu/0"};
static struct buffer passed; /* the records, one after the other */

static void pass(const char *record, size_t size)
{
    buffer_append(&passed, record, size);
}

static struct log_stream *create(void)
{
    struct log_stream *stream;
    struct error err = {0};
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    buffer_clear(&passed);
    assert_int_equal(log_stream_create(&worker, pass, &stream, &err), 0);
    return stream;
}

static void destroy(struct log_stream *stream)
{
    log_stream_destroy(stream);
    buffer_fini(&passed);
}

static size_t count(const char *text)
{
    size_t found = 0;
    for (const char *at = buffer_text(&passed); (at = strstr(at, text)) != NULL; at += strlen(text))
        found++;
    return found;
}

static void feed(struct log_stream *stream, const char *text, uint64_t now_ns)
{
    log_stream_feed(stream, text, strlen(text), now_ns);
}

static void check_last(const struct log_stream *stream, const char *expected)
{
    struct buffer last = {0};
    log_stream_last(stream, &last);
    assert_string_equal(buffer_text(&last), expected);
    buffer_fini(&last);
}

static void lines_are_cut_at_every_boundary(void **state)
{
    (void)state;
    static const char text[] =
        "one\r\n\n\nts=1 level=info process=worker-cpu event=a.b\nthree \xe2\x82"
        "\xac\n";
    for (size_t at = 0; at < sizeof text; at++) {
        struct log_stream *stream = create();
        log_stream_feed(stream, text, at, 0);
        log_stream_feed(stream, text + at, sizeof text - 1 - (at < sizeof text ? at : 0), 0);
        assert_int_equal(count("\n"), 3);
        assert_int_equal(count("text=\"one\"\n"), 1);
        assert_int_equal(count("ts=1 level=info process=worker-cpu worker=cpu/0 event=a.b\n"), 1);
        assert_int_equal(count("text=\"three \xe2\x82\xac\"\n"), 1);
        check_last(stream,
                   "one\nts=1 level=info process=worker-cpu event=a.b\nthree \xe2\x82\xac\n");
        destroy(stream);
    }
}

static void long_lines_are_cut_and_counted(void **state)
{
    (void)state;
    struct log_stream *stream = create();
    static char line[10001];
    memset(line, 'x', sizeof line - 1);
    feed(stream, line, 0);
    feed(stream, line, 0);
    assert_int_equal(count("\n"), 0);
    feed(stream, "\nnext\n", 0);
    assert_int_equal(count("..."), 1);
    char cut[32];
    snprintf(cut, sizeof cut, " cut=%d\n", 20000 - (LOG_LINE_MAX - 1));
    assert_int_equal(count(cut), 1);
    assert_int_equal(count("text=\"next\"\n"), 1);
    destroy(stream);
}

static void flood(struct log_stream *stream, const char *level, size_t lines, uint64_t now_ns)
{
    char line[128];
    snprintf(line, sizeof line, "ts=1 level=%s process=worker-cpu event=flood.%s\n", level, level);
    for (size_t i = 0; i < lines; i++)
        feed(stream, line, now_ns);
}

static void a_flood_is_limited_and_said(void **state)
{
    (void)state;
    struct log_stream *stream = create();
    const uint64_t start_ns = 1000 * NS_PER_S;
    flood(stream, "debug", 10000, start_ns);
    flood(stream, "info", 10000, start_ns);
    flood(stream, "warn", 10000, start_ns);
    flood(stream, "error", 10000, start_ns);
    /* what is less important leaves room for what is more */
    assert_int_equal(count("event=flood.debug"), LOG_STREAM_BURST - 600);
    assert_int_equal(count("event=flood.info"), 200);
    assert_int_equal(count("event=flood.warn"), 200);
    assert_int_equal(count("event=flood.error"), 200);
    assert_int_equal(count("log.suppressed"), 0);
    assert_true(log_stream_deadline_ns(stream) == start_ns + NS_PER_S);
    assert_false(log_stream_tick(stream, start_ns + NS_PER_S - 1));
    assert_int_equal(count("log.suppressed"), 0);
    assert_false(log_stream_tick(stream, start_ns + NS_PER_S));
    assert_int_equal(count("level=warn process=supervisor event=log.suppressed name=cpu/0 "
                           "lines=38000\n"),
                     1);
    assert_true(log_stream_deadline_ns(stream) == UINT64_MAX);
    /* credit comes back at the rate, and not beyond the burst */
    buffer_clear(&passed);
    flood(stream, "error", 10000, start_ns + 2 * NS_PER_S);
    assert_int_equal(count("event=flood.error"), 2 * LOG_STREAM_RATE);
    buffer_clear(&passed);
    flood(stream, "error", 10000, start_ns + 3600 * NS_PER_S);
    assert_int_equal(count("event=flood.error"), LOG_STREAM_BURST);
    destroy(stream);
}

/* A flood is kept to its end, whatever of it was passed on: the last lines tell why. */
static void the_last_lines_are_kept(void **state)
{
    (void)state;
    struct log_stream *stream = create();
    char line[64];
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof line, "line %d of many\n", i);
        feed(stream, line, 0);
    }
    struct buffer last = {0};
    log_stream_last(stream, &last);
    const char *text = buffer_text(&last);
    assert_true(last.size <= LOG_RING_SIZE && last.size > LOG_RING_SIZE - 64);
    int number = atoi(text + strlen("line "));
    for (; number < 5000; number++) {
        snprintf(line, sizeof line, "line %d of many\n", number);
        assert_memory_equal(text, line, strlen(line));
        text += strlen(line);
    }
    assert_string_equal(text, "");
    buffer_fini(&last);
    destroy(stream);
}

static void the_pipe_is_read_with_pauses(void **state)
{
    (void)state;
    struct log_stream *stream = create();
    int end;
    assert_int_equal(log_stream_open(stream, &end), 0);
    assert_true((fcntl(end, F_GETFL) & O_NONBLOCK) != 0); /* holds no child up */
    assert_int_equal(write(end, "one\ntwo", 7), 7);
    const uint64_t start_ns = 5 * NS_PER_S;
    log_stream_read(stream, start_ns);
    assert_int_equal(count("text=\"one\""), 1);
    uint64_t deadline_ns = log_stream_deadline_ns(stream);
    assert_true(deadline_ns > start_ns && deadline_ns <= start_ns + 50 * NS_PER_MS);
    assert_false(log_stream_tick(stream, deadline_ns - 1));
    assert_true(log_stream_tick(stream, deadline_ns));
    assert_true(log_stream_deadline_ns(stream) == UINT64_MAX);
    close(end);
    log_stream_close(stream, start_ns);
    assert_int_equal(count("text=\"two\""), 1); /* without its line feed */
    assert_int_equal(log_stream_fd(stream), -1);
    check_last(stream, "one\ntwo\n");
    /* a new life has no last lines yet */
    assert_int_equal(log_stream_open(stream, &end), 0);
    check_last(stream, "");
    close(end);
    log_stream_read(stream, start_ns); /* at its end it is closed */
    assert_int_equal(log_stream_fd(stream), -1);
    assert_true(log_stream_deadline_ns(stream) == UINT64_MAX);
    destroy(stream);
}

/* Whoever the dead process left behind goes on writing: that is not waited for. */
static void a_dead_process_is_not_read_for_ever(void **state)
{
    (void)state;
    struct log_stream *stream = create();
    int end;
    assert_int_equal(log_stream_open(stream, &end), 0);
    char block[4096];
    memset(block, '\n', sizeof block);
    memcpy(block, "full", 4);
    while (write(end, block, sizeof block) > 0)
        ;
    log_stream_close(stream, 0);
    assert_int_equal(log_stream_fd(stream), -1);
    assert_true(count("text=\"full\"") >= 16);
    close(end);
    destroy(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_at_every_boundary),
        cmocka_unit_test(long_lines_are_cut_and_counted),
        cmocka_unit_test(a_flood_is_limited_and_said),
        cmocka_unit_test(the_last_lines_are_kept),
        cmocka_unit_test(the_pipe_is_read_with_pauses),
        cmocka_unit_test(a_dead_process_is_not_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
