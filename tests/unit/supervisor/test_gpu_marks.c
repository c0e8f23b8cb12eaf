/* SPDX-License-Identifier: Apache-2.0 */
/* test_gpu_marks: bad GPUs are remembered in one life of the machine and in no other. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/gpu/gpu_marks.h"

static char folder[] = "/tmp/argosy-marks-XXXXXX";
static char path[64];
static struct gpu_board board;

static void make_board(void)
{
    static const struct hardware_gpu gpus[] = {
        {.minor = 0, .uuid = "GPU-a"}, {.minor = 1, .uuid = "GPU-b"}, {.minor = 7}};
    memset(&board, 0, sizeof board);
    board.count = 3;
    for (size_t i = 0; i < board.count; i++)
        gpu_unit_init(&board.units[i], &gpus[i], 1);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/bad_gpus", folder);
    make_board();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* nothing else is left there */
}

static uint64_t read_marks(const char *boot)
{
    struct error err = {0};
    uint64_t marked = 99;
    make_board();
    assert_int_equal(gpu_marks_read(folder, boot, &board, 5, &marked, &err), 0);
    return marked;
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void bad_gpus_are_remembered(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(read_marks("b1"), 0);
    gpu_unit_condemn(&board.units[1], "xid 79 (fell off the bus)", 2);
    gpu_unit_condemn(&board.units[2], "GPU is lost", 2);
    assert_int_equal(gpu_marks_write(folder, "b1", &board, &err), 0);
    assert_int_equal(read_marks("b1"), 2 | 4);
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
    assert_int_equal(board.units[1].state, GPU_STATE_BAD);
    assert_string_equal(board.units[1].reason, "xid 79 (fell off the bus)");
    assert_string_equal(board.units[2].reason, "GPU is lost");
    assert_int_equal(read_marks("b2"), 0); /* the machine was started anew */
    assert_int_equal(gpu_marks_write(folder, "b2", &board, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(gpu_marks_write(folder, "b2", &board, &err), 0);
}

/* A container that hides the driver's files: the supervisor knows the device file, and the helper
 * tells the rest. */
static void gpu_is_known_by_any_of_its_names(void **state)
{
    (void)state;
    struct error err = {0};
    struct gpu_unit *unit = &board.units[2];
    strcpy(unit->identity.uuid, "GPU-c");
    strcpy(unit->identity.bus_id, "0000:d8:00.0");
    gpu_unit_condemn(unit, "GPU is lost", 2);
    assert_int_equal(gpu_marks_write(folder, "b1", &board, &err), 0);
    assert_int_equal(read_marks("b1"), 4);
    assert_string_equal(unit->identity.uuid, "");
    assert_string_equal(unit->reason, "GPU is lost");
}

static void what_is_no_mark_marks_nobody(void **state)
{
    (void)state;
    write_text("");
    assert_int_equal(read_marks("b1"), 0);
    write_text("GPU-a broken\n");
    assert_int_equal(read_marks("b1"), 0);
    write_text("boot b1\nGPU-a\nGPU-b \nGPU-b - -\nGPU-b - - \n\nGPU-other - - xid 79\n"
               "- - x7 xid 79\n- - - xid 79\n");
    assert_int_equal(read_marks("b1"), 0);
    write_text("boot b1\n\nGPU-a - - torn");
    assert_int_equal(read_marks("b1"), 1);
    assert_string_equal(board.units[0].reason, "torn");
}

static void folder_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct error err = {0};
    gpu_unit_condemn(&board.units[0], "xid 79", 2);
    assert_int_equal(gpu_marks_write("/nonexistent", "b1", &board, &err), ERR_IO);
}

static void machine_has_a_boot(void **state)
{
    (void)state;
    char first[GPU_BOOT_MAX], second[GPU_BOOT_MAX];
    gpu_marks_boot(first);
    gpu_marks_boot(second);
    assert_int_equal(strlen(first), 36);
    assert_string_equal(first, second);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_gpus_are_remembered),      TEST(gpu_is_known_by_any_of_its_names),
        TEST(what_is_no_mark_marks_nobody), TEST(folder_that_cannot_be_written_is_told),
        TEST(machine_has_a_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
