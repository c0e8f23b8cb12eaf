/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage process on a disk that is full: a small tmpfs where a user namespace may mount one,
 * and anywhere a limit on the size of files. What has no room is refused with the reason, what was
 * acknowledged stays, the process lives on, and puts work again as soon as there is room.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage/artifact_upkeep.h"
#include "tests/integration/storage/storage_process.h"

#define DISK_SIZE    "size=8m"
#define CONTENT_SIZE (1024 * 1024)
#define PUTS_MAX     64
#define TEST_SKIPPED 77 /* of CTest */

static struct storage_process process;
static bool is_refused; /* namespaces are, here */

/* ---- what is done with a disk ---- */

/* Another content for every number. */
static int put(int number, size_t size, struct artifact *ret_artifact, struct error *err)
{
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    memcpy(bytes, &number, sizeof number);
    int code = artifact_put_bytes(process.client, bytes, size, "pin:p", ret_artifact, err);
    free(bytes);
    return code;
}

static void expect_sound(uint64_t count)
{
    struct error err = {0};
    uint64_t found = 0;
    const struct artifact_verify_options options = {0};
    if (artifact_verify(process.client, &options, &found, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(found, count);
}

static void expect_there(const struct artifact *artifact)
{
    struct error err = {0};
    if (artifact_keep(process.client, artifact->id, "pin:p", &err) != 0)
        fail_msg("%s", err.text);
}

/* A process, and none any more: its volume is made. */
static void open_and_end(const char *storage)
{
    struct error err = {0};
    storage_process_open(&process, storage);
    if (storage_client_wait(process.client, 20000, &err) != 0)
        fail_msg("%s", err.text);
    storage_process_kill(&process, SIGTERM);
}

static int ignore_collected(void *context, const struct artifact_entry *entry, const char *reason,
                            struct error *err)
{
    (void)context;
    (void)entry;
    (void)reason;
    (void)err;
    return 0;
}

/* ---- a full file system ---- */

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t count = write(fd, text, strlen(text));
    close(fd);
    return count == (ssize_t)strlen(text) ? 0 : -1;
}

/* Root in a namespace of its own is this user outside. */
static bool map_id(const char *path, unsigned id)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", id);
    return write_text(path, map) == 0;
}

/* A mount namespace in which this process may mount; false where the kernel refuses. */
static bool enter_namespace(void)
{
    unsigned user = geteuid();
    unsigned group = getegid();
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && map_id("/proc/self/uid_map", user) &&
           write_text("/proc/self/setgroups", "deny") == 0 && map_id("/proc/self/gid_map", group) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Puts until there is no room: how many were acknowledged, which are in artifacts. */
static int fill(struct artifact artifacts[PUTS_MAX], struct error *err)
{
    for (int count = 0; count < PUTS_MAX; count++) {
        int code = put(count, CONTENT_SIZE, &artifacts[count], err);
        if (code != 0) {
            assert_int_equal(code, ERR_LIMIT);
            return count;
        }
    }
    return PUTS_MAX;
}

static void a_full_disk_refuses_and_goes_on_when_there_is_room(void **state)
{
    (void)state;
    struct artifact artifacts[PUTS_MAX];
    struct artifact artifact;
    struct error err = {0};
    char volume[96];
    is_refused = !enter_namespace();
    if (is_refused)
        skip();
    open_and_end("artifact_keep_hours: 0");
    snprintf(volume, sizeof volume, "%s/storage", process.folder);
    if (mount("tmpfs", volume, "tmpfs", 0, DISK_SIZE) != 0)
        fail_msg("could not mount a tmpfs: %s", strerror(errno));
    storage_process_start(&process);

    int count = fill(artifacts, &err);
    assert_in_range(count, 2, 7);
    assert_non_null(strstr(err.text, "No space left on device"));
    expect_sound((uint64_t)count);
    assert_int_equal(put(count, CONTENT_SIZE, &artifact, &err), ERR_LIMIT);

    /* Room is made, as people would. */
    struct artifact_collection collection;
    assert_int_equal(artifact_release(process.client, artifacts[0].id, "pin:p", &err), 0);
    assert_int_equal(artifact_release(process.client, artifacts[1].id, "pin:p", &err), 0);
    assert_int_equal(
        artifact_collect(process.client, false, ignore_collected, NULL, &collection, &err), 0);
    if (put(count, CONTENT_SIZE, &artifact, &err) != 0)
        fail_msg("%s", err.text);
    expect_there(&artifact);
    expect_there(&artifacts[2]);
    expect_sound((uint64_t)count - 1);

    /* What was acknowledged beside a full disk is there after a restart. */
    storage_process_kill(&process, SIGKILL);
    storage_process_start(&process);
    expect_sound((uint64_t)count - 1);
    storage_process_kill(&process, SIGTERM);
    assert_int_equal(umount(volume), 0);
    storage_process_close(&process);
}

/* ---- files that may not grow ---- */

static void start_with_file_limit(rlim_t limit)
{
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    storage_process_start(&process);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void a_file_that_may_not_grow_is_refused(void **state)
{
    (void)state;
    struct artifact artifact;
    struct error err = {0};
    open_and_end("");
    start_with_file_limit(2 * CONTENT_SIZE);
    assert_int_equal(put(1, 3 * CONTENT_SIZE, &artifact, &err), ERR_LIMIT);
    assert_non_null(strstr(err.text, "File too large"));
    if (put(2, CONTENT_SIZE, &artifact, &err) != 0)
        fail_msg("%s", err.text);
    storage_process_kill(&process, SIGTERM);
    storage_process_start(&process);
    expect_sound(1);
    if (put(1, 3 * CONTENT_SIZE, &artifact, &err) != 0)
        fail_msg("%s", err.text);
    expect_sound(2);
    storage_process_close(&process);
}

int main(void)
{
    /* The namespace is the process's from then on: last. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_may_not_grow_is_refused),
        cmocka_unit_test(a_full_disk_refuses_and_goes_on_when_there_is_room),
    };
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    if (status != 0 || !is_refused)
        return status;
    print_message("skipped: a user namespace with a file system of its own is refused here\n");
    return TEST_SKIPPED;
}
