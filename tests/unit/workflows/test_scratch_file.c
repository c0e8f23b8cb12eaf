/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_file: it holds what is written and leaves no name behind. */
#include "workflows/scratch_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

static size_t entries_count(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void a_scratch_file_has_no_name(void **state)
{
    (void)state;
    char folder[] = "/tmp/argosy-scratch.XXXXXX", path[64], read[8] = {0};
    assert_non_null(mkdtemp(folder));
    struct fleet_config config = {.data_dir = folder};
    struct error err = {0};
    FILE *file;
    assert_int_equal(scratch_file_open(&config, &file, &err), 0);
    assert_int_equal(entries_count(folder), 0);
    assert_true(fputs("written", file) >= 0);
    assert_int_equal(fflush(file), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    FILE *again = fopen(path, "r");
    assert_non_null(again);
    assert_int_equal(fread(read, 1, sizeof read, again), 7);
    assert_string_equal(read, "written");
    fclose(again);
    fclose(file);
    assert_int_equal(rmdir(folder), 0);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct fleet_config config = {.data_dir = "/nonexistent/folder"};
    struct error err = {0};
    FILE *file = NULL;
    assert_int_equal(scratch_file_open(&config, &file, &err), ERR_IO);
    assert_non_null(strstr(err.text, "/nonexistent/folder"));
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scratch_file_has_no_name),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
