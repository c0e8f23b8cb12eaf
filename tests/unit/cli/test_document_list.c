/* SPDX-License-Identifier: Apache-2.0 */
/* document_list: files, folders and patterns become documents, each once, by their paths. */
#include "cli/document_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "storage/vectors.h"
#include "tests/test.h"

static char folder[] = "/tmp/argosy-documents.XXXXXX";

static void file_make(const char *path, const char *content, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    mkdir("docs", 0700);
    mkdir("docs/deep", 0700);
    mkdir("docs/.hidden", 0700);
    file_make("docs/b.txt", "text", 4);
    file_make("docs/a.md", "# A", 3);
    file_make("docs/deep/c", "words", 5);
    file_make("docs/.hidden/d.txt", "no", 2);
    file_make("docs/.e.txt", "no", 2);
    file_make("docs/image.png", "\x89PNG\0", 5);
    file_make("docs/office.docx", "PK\0", 3);
    return symlink("b.txt", "docs/link.txt") | symlink("..", "docs/loop");
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* The ids of what the arguments mean, with a space behind each. */
static void expect(const char *const *arguments, size_t count, const char *ids)
{
    struct document_list list;
    struct error err;
    if (document_list_read(arguments, count, "", &list, &err) != 0)
        fail_msg("%s", err.text);
    struct buffer text = {0};
    for (size_t i = 0; i < list.count; i++)
        buffer_printf(&text, "%s ", list.items[i].id);
    assert_string_equal(buffer_text(&text), ids);
    buffer_fini(&text);
    document_list_fini(&list);
}

#define EXPECT(ids, ...)                                                                           \
    expect((const char *const[]){__VA_ARGS__},                                                     \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), ids)

static void paths_become_documents(void **state)
{
    (void)state;
    EXPECT("docs/b.txt ", "docs/b.txt");
    EXPECT("docs/b.txt ", ".//docs//b.txt", "docs/b.txt", "./docs/b.txt");
    EXPECT("docs/a.md docs/b.txt docs/deep/c docs/link.txt ", "docs");
    EXPECT("docs/a.md docs/b.txt docs/deep/c docs/link.txt ", "docs/", "./docs/deep");
    EXPECT("docs/a.md docs/deep/c ", "docs/*.md", "docs/d*p");
    /* Named itself, a file is meant, whatever it is. */
    EXPECT("docs/.e.txt docs/image.png ", "docs/image.png", "docs/.e.txt");
}

static void what_is_not_a_document_is_counted(void **state)
{
    (void)state;
    struct document_list list;
    assert_int_equal(document_list_read((const char *const[]){"docs"}, 1, "", &list, NULL), 0);
    assert_int_equal(list.skipped, 2);
    assert_int_equal(list.items[0].size, 3);
    document_list_fini(&list);
}

static void what_is_not_there_is_named(void **state)
{
    (void)state;
    struct document_list list;
    struct error err;
    const char *const missing[] = {"docs/nothing.txt", "docs/nothing*"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(document_list_read(&missing[i], 1, "", &list, &err), ERR_NOT_FOUND);
        assert_non_null(strstr(err.text, missing[i]));
    }
    assert_int_equal(document_list_read((const char *const[]){"/dev/null"}, 1, "", &list, &err),
                     ERR_INVALID);
}

/* A prefix tells apart what has the same path elsewhere; removing asks for the same id. */
static void a_prefix_stands_before_every_id(void **state)
{
    (void)state;
    struct document_list list;
    assert_int_equal(
        document_list_read((const char *const[]){"./docs//b.txt"}, 1, "guide/", &list, NULL), 0);
    assert_string_equal(list.items[0].id, "guide/docs/b.txt");
    assert_string_equal(document_id_of("guide/", "docs/b.txt", &list.arena), list.items[0].id);
    document_list_fini(&list);
}

/* It is in the list, so that the ingest says why it could not be read. */
static void a_file_that_cannot_be_read_is_not_passed_over(void **state)
{
    (void)state;
    mkdir("secret", 0755);
    chmod(folder, 0755);
    file_make("secret/a.txt", "text", 4);
    file_make("secret/b.txt", "text", 4);
    assert_int_equal(chmod("secret/a.txt", 0), 0);
    bool is_root = geteuid() == 0;
    if (is_root) /* root may read everything */
        assert_int_equal(seteuid(65534), 0);
    EXPECT("secret/a.txt secret/b.txt ", "secret");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
}

static void ten_thousand_files_are_ten_thousand_documents(void **state)
{
    (void)state;
    mkdir("many", 0700);
    char path[64];
    for (int i = 0; i < 10000; i++) { /* links: making files is slow */
        snprintf(path, sizeof path, "many/%04d.txt", i);
        assert_int_equal(link("docs/b.txt", path), 0);
    }
    struct document_list list;
    assert_int_equal(
        document_list_read((const char *const[]){"many", "many/*.txt"}, 2, "", &list, NULL), 0);
    assert_int_equal(list.count, 10000);
    for (size_t i = 0; i < list.count; i++) {
        snprintf(path, sizeof path, "many/%04zu.txt", i);
        assert_string_equal(list.items[i].id, path);
    }
    document_list_fini(&list);
}

static void an_id_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char prefix[VECTOR_NAME_MAX];
    memset(prefix, 'p', sizeof prefix - 1);
    prefix[sizeof prefix - 1] = '\0';
    struct document_list list;
    struct error err;
    assert_int_equal(
        document_list_read((const char *const[]){"docs/b.txt"}, 1, prefix, &list, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, "docs/b.txt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_become_documents),
        cmocka_unit_test(what_is_not_a_document_is_counted),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(a_prefix_stands_before_every_id),
        cmocka_unit_test(a_file_that_cannot_be_read_is_not_passed_over),
        cmocka_unit_test(ten_thousand_files_are_ten_thousand_documents),
        cmocka_unit_test(an_id_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
