/* SPDX-License-Identifier: Apache-2.0 */
/* test_drawing: lines fit their terminal, whatever is put on them. */
#include "cli/drawing.h"

#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "tests/test.h"

static void expect(struct drawing *drawing, const char *text)
{
    assert_string_equal(buffer_text(&drawing->text), text);
    drawing_fini(drawing);
}

static void columns_line_up(void **state)
{
    (void)state;
    struct style style = {.is_utf8 = true};
    struct drawing drawing = {.style = &style};
    drawing_put(&drawing, TONE_BAD, "名");
    drawing_tab(&drawing, 4);
    drawing_put(&drawing, TONE_PLAIN, "x");
    drawing_right(&drawing, TONE_GOOD, "12", 10);
    drawing_end(&drawing);
    drawing_right(&drawing, TONE_PLAIN, "too long", 3);
    drawing_end(&drawing);
    assert_int_equal(drawing.lines, 2);
    expect(&drawing, "名  x   12\ntoo long\n");
}

static void what_does_not_fit_is_cut_and_marked(void **state)
{
    (void)state;
    struct style style = {.columns = 6, .is_utf8 = true};
    struct drawing drawing = {.style = &style};
    drawing_put(&drawing, TONE_PLAIN, "12345");
    drawing_end(&drawing);
    drawing_put(&drawing, TONE_PLAIN, "123456");
    drawing_put(&drawing, TONE_PLAIN, "never");
    drawing_end(&drawing);
    drawing_put(&drawing, TONE_PLAIN, "1234名"); /* two columns wide */
    drawing_end(&drawing);
    expect(&drawing, "12345\n12345…\n1234…\n");
    style.is_utf8 = false;
    drawing = (struct drawing){.style = &style};
    drawing_put(&drawing, TONE_PLAIN, "ü23456");
    drawing_end(&drawing);
    expect(&drawing, "?2345~\n");
}

static void texts_cannot_disturb_the_terminal(void **state)
{
    (void)state;
    struct style style = {.has_colour = true, .is_utf8 = true};
    struct drawing drawing = {.style = &style};
    drawing_put(&drawing, TONE_BAD, "a\033[2Jb\nc\xff");
    drawing_end(&drawing);
    expect(&drawing, "\033[31ma\\x1b[2Jb\\nc\\xff\033[0m\n");
    drawing = (struct drawing){.style = &style};
    drawing_put(&drawing, TONE_PLAIN, "plain");
    drawing_put(&drawing, TONE_BAD, "");
    drawing_end(&drawing);
    expect(&drawing, "plain\n");
}

static void bars_and_curves(void **state)
{
    (void)state;
    static const double values[] = {9, 0, 1, 2, 4};
    struct style style = {.is_utf8 = true};
    struct drawing drawing = {.style = &style};
    drawing_bar(&drawing, TONE_PLAIN, 0.5, 6);
    drawing_bar(&drawing, TONE_PLAIN, 7, 4);
    drawing_bar(&drawing, TONE_PLAIN, -1, 4);
    drawing_end(&drawing);
    drawing_curve(&drawing, TONE_PLAIN, values, 5, 4); /* the latest four; 4 is the greatest */
    drawing_end(&drawing);
    drawing_curve(&drawing, TONE_PLAIN, values + 1, 1, 4);
    drawing_end(&drawing);
    expect(&drawing, "[##..][##][..]\n▁▂▄█\n▁\n");
    style.is_utf8 = false;
    drawing = (struct drawing){.style = &style};
    drawing_curve(&drawing, TONE_PLAIN, values, 5, 5);
    drawing_end(&drawing);
    expect(&drawing, "#__.-\n");
}

static void files_have_no_colours(void **state)
{
    (void)state;
    struct style style;
    FILE *file = tmpfile();
    assert_non_null(file);
    setenv("LC_ALL", "C", 1);
    style_detect(file, &style);
    assert_false(style.has_colour);
    assert_false(style.is_utf8);
    assert_int_equal(style.columns, 0);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(what_does_not_fit_is_cut_and_marked),
        cmocka_unit_test(texts_cannot_disturb_the_terminal),
        cmocka_unit_test(bars_and_curves),
        cmocka_unit_test(files_have_no_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
