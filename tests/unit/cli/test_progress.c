/* SPDX-License-Identifier: Apache-2.0 */
/* test_progress: what long work shows, in each form, at which times. */
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "common/time_unit.h"
#include "tests/test.h"

/* What was written since the last call; the caller frees nothing. */
struct screen {
    FILE *file;
    char *text;
    size_t size, read;
};

static void screen_open(struct screen *screen)
{
    *screen = (struct screen){0};
    screen->file = open_memstream(&screen->text, &screen->size);
    assert_non_null(screen->file);
}

static const char *screen_new(struct screen *screen)
{
    fflush(screen->file);
    const char *text = screen->text + screen->read;
    screen->read = screen->size;
    return text;
}

static void screen_close(struct screen *screen)
{
    fclose(screen->file);
    free(screen->text);
}

static void a_bar_is_drawn_at_most_ten_times_a_second(void **state)
{
    (void)state;
    struct screen screen;
    screen_open(&screen);
    struct progress progress;
    progress_init(&progress, screen.file, PROGRESS_BAR, 60);
    progress_stage(&progress, "embed", "texts");
    progress_update_at(&progress, 0, 2000, NS_PER_S);
    assert_string_equal(screen_new(&screen), "\rembed [................................]"
                                             "   0%  0/2000 texts\033[K");
    progress_update_at(&progress, 10, 2000, NS_PER_S + 99 * NS_PER_MS);
    assert_string_equal(screen_new(&screen), "");
    progress_update_at(&progress, 1000, 2000, 3 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "\rembed [######.......]"
                                             "  50%  1000/2000 texts  500/s  2s left\033[K");
    /* The end is shown at once. */
    progress_update_at(&progress, 2000, 2000, 3 * NS_PER_S + 1);
    assert_non_null(strstr(screen_new(&screen), "100%  2000/2000 texts"));
    progress_close(&progress);
    assert_string_equal(screen_new(&screen), "\r\033[K");
    progress_close(&progress);
    assert_string_equal(screen_new(&screen), "");
    screen_close(&screen);
}

static void a_note_stands_behind_the_numbers_of_its_stage(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [PROGRESS_BAR] = "\rtrain [##........]  20%  2/10 steps  epoch 1, loss 0.25\033[K",
        [PROGRESS_LINES] = "train: 2 of 10 steps (20%), epoch 1, loss 0.25\n",
    };
    for (int form = PROGRESS_LINES; form <= PROGRESS_BAR; form++) {
        struct screen screen;
        screen_open(&screen);
        struct progress progress;
        progress_init(&progress, screen.file, (enum progress_form)form, 56);
        progress_stage(&progress, "train", "steps");
        progress_note(&progress, "epoch 1, loss 0.25");
        progress_update_at(&progress, 2, 10, 0);
        progress_update_at(&progress, 2, 10, 5 * NS_PER_S);
        assert_non_null(strstr(screen_new(&screen), expected[form]));
        progress_stage(&progress, "evaluate", "steps");
        progress_update_at(&progress, 0, 10, 10 * NS_PER_S);
        progress_update_at(&progress, 0, 10, 15 * NS_PER_S);
        const char *later = screen_new(&screen);
        assert_non_null(strstr(later, "evaluate"));
        assert_null(strstr(later, "loss"));
        screen_close(&screen);
    }
}

static void a_bar_never_fills_its_terminal(void **state)
{
    (void)state;
    for (uint32_t columns = 8; columns <= 160; columns++) {
        struct screen screen;
        screen_open(&screen);
        struct progress progress;
        progress_init(&progress, screen.file, PROGRESS_BAR, columns);
        progress_stage(&progress, "Ünïcode", "bytes");
        progress_update_at(&progress, 0, 5u << 30, 0);
        progress_update_at(&progress, 1234567890, 5u << 30, 77 * NS_PER_S);
        const char *line = strrchr(screen_new(&screen), '\r') + 1;
        char text[256];
        assert_in_range(strlen(line), 3, sizeof text);
        memcpy(text, line, strlen(line) + 1);
        *strchr(text, '\033') = '\0';
        assert_true(output_width(text) < columns);
        screen_close(&screen);
    }
}

static void without_a_terminal_lines_come_every_five_seconds(void **state)
{
    (void)state;
    struct screen screen;
    screen_open(&screen);
    struct progress progress;
    progress_init(&progress, screen.file, PROGRESS_LINES, 0);
    progress_stage(&progress, "upload", "bytes");
    progress_update_at(&progress, 0, 1 << 20, 0);
    progress_update_at(&progress, 1 << 20, 1 << 20, 4 * NS_PER_S);
    assert_string_equal(screen_new(&screen), ""); /* short work shows nothing */

    progress_stage(&progress, "embed", "texts");
    progress_update_at(&progress, 100, 700, 10 * NS_PER_S);
    progress_update_at(&progress, 250, 700, 14 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "");
    progress_update_at(&progress, 300, 700, 15 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "embed: 300 of 700 texts (42%), 40/s, 10s left\n");
    progress_update_at(&progress, 450, 700, 19 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "");
    progress_update_at(&progress, 700, 700, 19 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "embed: 700 of 700 texts (100%), 67/s\n");
    progress_update_at(&progress, 700, 700, 19 * NS_PER_S);
    assert_string_equal(screen_new(&screen), "");
    progress_close(&progress);
    assert_string_equal(screen_new(&screen), "");
    screen_close(&screen);
}

static void an_unknown_total_is_left_out(void **state)
{
    (void)state;
    struct screen screen;
    screen_open(&screen);
    struct progress progress;
    progress_init(&progress, screen.file, PROGRESS_BAR, 80);
    progress_stage(&progress, "read", "bytes");
    progress_update_at(&progress, 0, 0, 0);
    progress_update_at(&progress, 3 << 20, 0, 2 * NS_PER_S);
    const char *text = screen_new(&screen);
    assert_non_null(strstr(text, "\rread  0 B\033[K"));
    assert_non_null(strstr(text, "\rread  3.0 MiB  1.5 MiB/s\033[K"));
    screen_close(&screen);
}

static void a_stage_begins_anew_and_cannot_disturb_the_terminal(void **state)
{
    (void)state;
    struct screen screen;
    screen_open(&screen);
    struct progress progress;
    progress_init(&progress, screen.file, PROGRESS_BAR, 80);
    progress_stage(&progress, "one", "steps");
    progress_update_at(&progress, 0, 10, 0);
    progress_stage(&progress, "t\033[2Jo", "steps");
    progress_update_at(&progress, 5, 10, 10 * NS_PER_S);
    progress_stage(&progress, "t\033[2Jo", "steps"); /* the same */
    progress_update_at(&progress, 6, 10, 12 * NS_PER_S);
    const char *text = screen_new(&screen);
    assert_null(strstr(text, "\033[2J"));
    assert_non_null(strstr(text, "6/10 steps  0.5/s  8s left"));
    screen_close(&screen);
}

static void silence_writes_nothing(void **state)
{
    (void)state;
    struct screen screen;
    screen_open(&screen);
    struct progress progress;
    progress_init(&progress, screen.file, PROGRESS_SILENT, 80);
    progress_stage(&progress, "embed", "texts");
    for (uint64_t i = 0; i <= 100; i++)
        progress_update_at(&progress, i, 100, i * NS_PER_S);
    progress_close(&progress);
    assert_string_equal(screen_new(&screen), "");
    screen_close(&screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bar_is_drawn_at_most_ten_times_a_second),
        cmocka_unit_test(a_note_stands_behind_the_numbers_of_its_stage),
        cmocka_unit_test(a_bar_never_fills_its_terminal),
        cmocka_unit_test(without_a_terminal_lines_come_every_five_seconds),
        cmocka_unit_test(an_unknown_total_is_left_out),
        cmocka_unit_test(a_stage_begins_anew_and_cannot_disturb_the_terminal),
        cmocka_unit_test(silence_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
