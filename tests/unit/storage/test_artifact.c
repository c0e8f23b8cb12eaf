/* SPDX-License-Identifier: Apache-2.0 */
/* artifact: what storage/artifact.h promises its callers, over a real socket. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/artifact.h"
#include "tests/unit/storage/storage_fixture.h"

/* Of FIPS 180: the digests of "abc" and of nothing. */
#define ID_ABC   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ID_EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct storage_fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_open(&fixture, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static struct artifact put(const void *data, size_t size, const char *owner)
{
    struct artifact artifact;
    struct error err = {0};
    if (artifact_put_bytes(fixture.client, data, size, owner, &artifact, &err) != 0)
        fail_msg("%s", err.text);
    return artifact;
}

static void expect_content(const char *id, const void *data, size_t size)
{
    struct error err = {0};
    int fd;
    uint64_t found;
    if (artifact_open(fixture.client, id, NULL, NULL, &fd, &found, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(found, size);
    uint8_t *bytes = malloc(size + 1);
    size_t done = 0;
    ssize_t count;
    while ((count = read(fd, bytes + done, size + 1 - done)) > 0)
        done += (size_t)count;
    assert_int_equal(done, size);
    assert_memory_equal(bytes, data, size);
    free(bytes);
    close(fd);
}

static void what_was_put_is_got(void **state)
{
    (void)state;
    struct artifact artifact = put("abc", 3, "workflow:w");
    assert_string_equal(artifact.id, ID_ABC);
    assert_int_equal(artifact.size, 3);
    expect_content(ID_ABC, "abc", 3);
    expect_content(ID_ABC, "abc", 3); /* from the cache */
    artifact = put(NULL, 0, "workflow:w");
    assert_string_equal(artifact.id, ID_EMPTY);
    expect_content(ID_EMPTY, "", 0);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    assert_true(done >= *last && done <= total);
    *last = done;
}

static void a_file_travels_in_parts(void **state)
{
    (void)state;
    const size_t size = 5 * 1024 * 1024 + 17;
    uint8_t *bytes = fixture_bytes(size, 1);
    const char *from = fixture_path(&fixture, "from");
    const char *to = fixture_path(&fixture, "to");
    FILE *file = fopen(from, "w");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    struct artifact artifact;
    uint64_t done = 0;
    assert_int_equal(artifact_put_file(fixture.client, from, "workflow:w", note_progress, &done,
                                       &artifact, NULL),
                     0);
    assert_int_equal(artifact.size, size);
    assert_int_equal(done, size);
    done = 0;
    assert_int_equal(artifact_get_file(fixture.client, artifact.id, to, note_progress, &done, NULL),
                     0);
    assert_int_equal(done, size);
    struct stat status;
    assert_int_equal(stat(to, &status), 0);
    assert_int_equal(status.st_size, size);
    expect_content(artifact.id, bytes, size);
    assert_int_equal(fixture_count(&fixture, "storage/uploads"), 0);
    free(bytes);
}

static void acknowledged_means_on_disk(void **state)
{
    (void)state;
    struct artifact artifact = put("kept", 4, "workflow:w");
    fixture_stop(&fixture);
    fixture_start(&fixture);
    expect_content(artifact.id, "kept", 4);
    struct stat status;
    assert_int_equal(stat(fixture_content(&fixture, artifact.id), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0400);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct artifact artifact;
    int fd;
    uint64_t size;
    assert_int_equal(artifact_put_bytes(fixture.client, "x", 1, "nobody", &artifact, &err),
                     ERR_INVALID);
    assert_int_equal(artifact_put_bytes(fixture.client, "x", 1, "pin:", &artifact, &err),
                     ERR_INVALID);
    assert_int_equal(artifact_put_bytes(fixture.client, "x", 1, "pin:a\nb", &artifact, &err),
                     ERR_INVALID);
    assert_int_equal(artifact_open(fixture.client, "sha256:x", NULL, NULL, &fd, &size, &err),
                     ERR_INVALID);
    assert_int_equal(artifact_open(fixture.client, ID_ABC, NULL, NULL, &fd, &size, &err),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, ID_ABC));
    assert_int_equal(
        artifact_put_file(fixture.client, "/no/such/file", "pin:a", NULL, NULL, &artifact, &err),
        ERR_NOT_FOUND);
    assert_int_equal(
        artifact_put_file(fixture.client, "/tmp", "pin:a", NULL, NULL, &artifact, &err), ERR_IO);
    assert_int_equal(artifact_keep(fixture.client, ID_ABC, "pin:a", &err), ERR_NOT_FOUND);
    assert_int_equal(artifact_release(fixture.client, ID_ABC, "pin:a", &err), 0);
}

/* Other bytes under an artifact's name. */
static void damage(const struct artifact *artifact, const char *bytes)
{
    const char *path = fixture_content(&fixture, artifact->id);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "w");
    fputs(bytes, file);
    fclose(file);
}

static void damage_in_storage_is_found(void **state)
{
    (void)state;
    struct artifact artifact = put("sound", 5, "workflow:w");
    damage(&artifact, "wound");
    struct error err = {0};
    int fd;
    uint64_t size;
    assert_int_equal(artifact_open(fixture.client, artifact.id, NULL, NULL, &fd, &size, &err),
                     ERR_CORRUPT);
    assert_non_null(strstr(err.text, artifact.id));
    assert_int_equal(fixture_count(&fixture, "cache/artifacts"), 0);
}

static void what_is_damaged_is_repaired_by_putting_it_again(void **state)
{
    (void)state;
    struct artifact artifact = put("sound", 5, "workflow:w");
    damage(&artifact, "wound");
    put("sound", 5, "workflow:w");
    expect_content(artifact.id, "sound", 5);
    damage(&artifact, "too long");
    put("sound", 5, "workflow:v");
    expect_content(artifact.id, "sound", 5);
    const size_t size = 3 * 1024 * 1024 + 5; /* in several parts */
    uint8_t *bytes = fixture_bytes(size, 2);
    artifact = put(bytes, size, "workflow:w");
    damage(&artifact, "cut");
    put(bytes, size, "workflow:w");
    expect_content(artifact.id, bytes, size);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_got, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_travels_in_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(acknowledged_means_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_words_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_in_storage_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_repaired_by_putting_it_again, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
