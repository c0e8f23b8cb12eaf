/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store on a disk that breaks and in a process that is killed. What a commit
 * acknowledged is there after reopening, whole; what it refused is there whole or not at all.
 */
#include "tests/unit/engine/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/store_index.h"
#include "tests/unit/engine/fault_vfs.h"

#define SIZE   ((size_t)3000) /* three records to a page, so that commits touch several */
#define ROUNDS 8

/* One workload: round n opens run n, goes on with it in the same commit, and closes run n - 1. */
static int commit_round(struct store *store, int64_t round, struct error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct store_write writes[3];
    size_t count = 0;
    writes[count++] = write_open(&arena, round, "id", SIZE);
    writes[count++] = write_more(&arena, round, 2, SIZE);
    if (round > 1)
        writes[count++] = write_close(&arena, round - 1, 3, SIZE);
    int code = store_commit(store, writes, count, err);
    arena_fini(&arena);
    return code;
}

/* How many rounds the store holds; fails the test unless they are a whole prefix. */
static int64_t rounds_held(struct store_fixture *fixture)
{
    int64_t next, rounds = 0;
    assert_int_equal(store_next_run_key(fixture->store, &next, NULL), 0);
    rounds = next - 1;
    for (int64_t round = 1; round <= rounds; round++) {
        char run_id[32];
        struct store_run run;
        snprintf(run_id, sizeof run_id, "run-%lld", (long long)round);
        assert_int_equal(
            store_find(fixture->store, "default", "id", run_id, &fixture->arena, &run, NULL), 0);
        bool closed = round < rounds;
        assert_int_equal(run.run_key, round);
        assert_int_equal(run.status, closed ? COMPLETED : RUNNING);
        check_log(fixture, round, closed ? 3 : 2, SIZE);
    }
    return rounds;
}

/* Opens a new store on the armed disk and runs the workload until it fails; returns the rounds that
 * were acknowledged. */
static int64_t run_until_failure(struct store_fixture *fixture)
{
    struct error err = {0};
    struct store *store = NULL;
    int64_t acknowledged = 0;
    int code = store_open(fixture->path, &store, &err);
    while (code == 0 && acknowledged < ROUNDS) {
        code = commit_round(store, acknowledged + 1, &err);
        if (code == 0)
            acknowledged++;
    }
    if (code != 0) {
        assert_true(fault_vfs_has_failed());
        assert_true(code == ERR_STORAGE);
        assert_string_not_equal(err.text, "");
        /* A store that failed once takes nothing more, whatever the disk says. */
        if (store != NULL)
            assert_int_equal(commit_round(store, acknowledged + 1, NULL), ERR_STORAGE);
    }
    store_close(store);
    return acknowledged;
}

static void check_every_failure(enum fault_kind kind)
{
    bool failed = true;
    int operation;
    for (operation = 1; failed; operation++) {
        struct store_fixture fixture = {0};
        arena_init(&fixture.arena, ARENA_NO_LIMIT);
        folder_create(fixture.folder);
        snprintf(fixture.path, sizeof fixture.path, "%s/engine.db", fixture.folder);
        fault_vfs_arm(kind, operation);
        int64_t acknowledged = run_until_failure(&fixture);
        failed = fault_vfs_has_failed();
        fault_vfs_arm(FAULT_NONE, 0);
        fixture_reopen(&fixture);
        int64_t held = rounds_held(&fixture);
        assert_true(held == acknowledged || held == acknowledged + 1);
        /* And it goes on from there. */
        assert_int_equal(commit_round(fixture.store, held + 1, NULL), 0);
        fixture_reopen(&fixture);
        assert_int_equal(rounds_held(&fixture), held + 1);
        fixture_close(&fixture);
    }
    /* The loop ends where nothing fails any more; that must not have been at once. */
    assert_true(operation > ROUNDS);
}

static void survives_every_refused_operation(void **state)
{
    (void)state;
    check_every_failure(FAULT_IO);
}

/* What is written behind the commits goes on after a commit that was refused. */
static void survives_every_operation_refused_once(void **state)
{
    (void)state;
    check_every_failure(FAULT_ONCE);
}

static void survives_a_full_disk_at_every_write(void **state)
{
    (void)state;
    check_every_failure(FAULT_FULL);
}

static void survives_every_torn_write(void **state)
{
    (void)state;
    check_every_failure(FAULT_TORN);
}

static void says_that_the_disk_is_full(void **state)
{
    (void)state;
    struct store_fixture fixture;
    fixture_open(&fixture, false);
    fault_vfs_arm(FAULT_FULL, 1);
    struct error err = {0};
    assert_int_equal(commit_round(fixture.store, 1, &err), ERR_STORAGE);
    fault_vfs_arm(FAULT_NONE, 0);
    assert_non_null(strstr(err.text, "disk is full"));
    fixture_close(&fixture);
}

static void copy_file(const char *from, const char *to, size_t limit)
{
    char data[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t size;
    while (limit > 0 && (size = read(in, data, limit < sizeof data ? limit : sizeof data)) > 0) {
        assert_int_equal(write(out, data, (size_t)size), size);
        limit -= (size_t)size;
    }
    close(in);
    close(out);
}

/* A power cut may leave any prefix of the write-ahead log's last part. Cut at every page and in the
 * middle of it: the store opens with the commits that are whole. */
static void opens_with_a_log_cut_anywhere(void **state)
{
    (void)state;
    struct store_fixture fixture, cut = {0};
    fixture_open(&fixture, false);
    for (int64_t round = 1; round <= ROUNDS; round++)
        assert_int_equal(commit_round(fixture.store, round, NULL), 0);
    arena_init(&cut.arena, ARENA_NO_LIMIT);
    folder_create(cut.folder);
    snprintf(cut.path, sizeof cut.path, "%s/engine.db", cut.folder);
    char from[128], to[128];
    snprintf(from, sizeof from, "%s-wal", fixture.path);
    snprintf(to, sizeof to, "%s-wal", cut.path);
    struct stat info;
    assert_int_equal(stat(from, &info), 0);
    int64_t held_before = 0;
    bool opened = false;
    for (size_t size = 0; size <= (size_t)info.st_size; size += 4108) {
        copy_file(fixture.path, cut.path, SIZE_MAX);
        copy_file(from, to, size);
        fixture_reopen(&cut);
        int64_t held = rounds_held(&cut);
        assert_true(held >= held_before);
        held_before = held;
        opened = true;
        store_close(cut.store);
        cut.store = NULL;
        folder_remove(cut.folder);
        assert_int_equal(mkdir(cut.folder, 0700), 0);
    }
    assert_true(opened);
    copy_file(fixture.path, cut.path, SIZE_MAX);
    copy_file(from, to, SIZE_MAX);
    fixture_reopen(&cut);
    assert_int_equal(rounds_held(&cut), ROUNDS);
    fixture_close(&cut);
    fixture_close(&fixture);
}

/* The child commits and tells each acknowledged round through the pipe, until it is killed. */
static void commit_for_ever(const char *path, int ledger)
{
    struct store *store;
    if (store_open(path, &store, NULL) != 0)
        _exit(1);
    int64_t round;
    if (store_next_run_key(store, &round, NULL) != 0)
        _exit(1);
    for (;; round++) {
        if (commit_round(store, round, NULL) != 0)
            _exit(1);
        if (write(ledger, &round, sizeof round) != (ssize_t)sizeof round)
            _exit(1);
    }
}

static void keeps_what_a_killed_process_acknowledged(void **state)
{
    (void)state;
    struct store_fixture fixture;
    fixture_open(&fixture, false);
    int64_t acknowledged = 0;
    for (int life = 1; life <= 10; life++) {
        int ledger[2];
        assert_int_equal(pipe2(ledger, O_CLOEXEC), 0);
        store_close(fixture.store);
        fixture.store = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            commit_for_ever(fixture.path, ledger[1]);
        close(ledger[1]);
        /* Some lives are short, some are longer; the kill falls anywhere in the commits after. */
        int64_t round;
        for (int i = 0; i < life * 5; i++) {
            assert_int_equal(read(ledger[0], &round, sizeof round), sizeof round);
            acknowledged = round;
        }
        kill(child, SIGKILL);
        while (read(ledger[0], &round, sizeof round) == (ssize_t)sizeof round)
            acknowledged = round;
        close(ledger[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fixture_reopen(&fixture);
        int64_t held = rounds_held(&fixture);
        assert_true(held == acknowledged || held == acknowledged + 1);
    }
    fixture_close(&fixture);
}

/* Batches of runs that stay open, until killed: enough that the index is flushed in between. */
#define OPEN_BATCH 64

static void open_runs_for_ever(const char *path, int ledger)
{
    struct store *store;
    int64_t key;
    if (store_open(path, &store, NULL) != 0 || store_next_run_key(store, &key, NULL) != 0)
        _exit(1);
    for (;;) {
        struct arena arena;
        struct store_write writes[OPEN_BATCH];
        arena_init(&arena, ARENA_NO_LIMIT);
        for (int i = 0; i < OPEN_BATCH; i++)
            writes[i] = write_open(&arena, key++, "open", 20);
        if (store_commit(store, writes, OPEN_BATCH, NULL) != 0 ||
            write(ledger, &key, sizeof key) != (ssize_t)sizeof key)
            _exit(1);
        arena_fini(&arena);
    }
}

static int count_open(void *arg, const struct store_run *run, const struct store_blob *records,
                      size_t record_count, struct error *err)
{
    int64_t *count = arg;
    (void)err;
    assert_int_equal(run->run_key, ++*count);
    assert_int_equal(record_count, 1);
    assert_true(blob_is(&records[0], run->run_key, 1, 20));
    return 0;
}

/* Recovery finds every open run, whatever part of them the index file had when the process died. */
static void recovers_every_open_run_around_a_flush(void **state)
{
    (void)state;
    struct store_fixture fixture;
    fixture_open(&fixture, false);
    for (int64_t flushes = 1; flushes <= 3; flushes++) {
        int ledger[2];
        assert_int_equal(pipe2(ledger, O_CLOEXEC), 0);
        store_close(fixture.store);
        fixture.store = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            open_runs_for_ever(fixture.path, ledger[1]);
        close(ledger[1]);
        int64_t next = 0, acknowledged = 0, count = 0;
        while (next < flushes * STORE_INDEX_FLUSH_RUNS + 100)
            assert_int_equal(read(ledger[0], &next, sizeof next), sizeof next);
        kill(child, SIGKILL);
        while (read(ledger[0], &next, sizeof next) == (ssize_t)sizeof next)
            continue;
        acknowledged = next - 1;
        close(ledger[0]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        fixture_reopen(&fixture);
        assert_int_equal(store_scan_open(fixture.store, count_open, &count, NULL), 0);
        assert_true(count == acknowledged || count == acknowledged + OPEN_BATCH);
    }
    fixture_close(&fixture);
}

int main(void)
{
    fault_vfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_every_refused_operation),
        cmocka_unit_test(survives_every_operation_refused_once),
        cmocka_unit_test(survives_a_full_disk_at_every_write),
        cmocka_unit_test(survives_every_torn_write),
        cmocka_unit_test(says_that_the_disk_is_full),
        cmocka_unit_test(opens_with_a_log_cut_anywhere),
        cmocka_unit_test(recovers_every_open_run_around_a_flush),
        cmocka_unit_test(keeps_what_a_killed_process_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
