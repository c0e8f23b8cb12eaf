/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_fixture: see postgres_fixture.h. PostgreSQL refuses to run as root: then it runs as the
 * user with id 65534 (nobody). */
#include "tests/unit/vectors/postgres_fixture.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

#define NOBODY   65534
#define PASSWORD "not trust"

#define START_WAIT_MS 60000

static char folder[64];
static char programs[512];
static char password_file[80];
static pid_t server;

/* A program of the server's, in its folder, as nobody where we are root; its output goes to a log.
 */
static pid_t spawn(char **arguments)
{
    char path[600], log[96];
    snprintf(path, sizeof path, "%s/%s", programs, arguments[0]);
    snprintf(log, sizeof log, "%s/log", folder);
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(126);
    if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(126);
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent || chdir(folder) != 0)
        _exit(126);
    /* They look for each other beside the path that they were started by. */
    arguments[0] = path;
    execv(path, arguments);
    _exit(127);
}

static void print_log(void)
{
    char line[512], log[96];
    snprintf(log, sizeof log, "%s/log", folder);
    FILE *file = fopen(log, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        print_message("%s", line);
    if (file != NULL)
        fclose(file);
}

static bool can_connect(const char *address)
{
    PGconn *connection = PQconnectdb(address);
    bool is_there = PQstatus(connection) == CONNECTION_OK;
    PQfinish(connection);
    return is_there;
}

static void address_of(char *address, unsigned long size)
{
    snprintf(address, size,
             "postgresql:///postgres?host=%s&user=argosy&options=-cclient_min_messages%%3Dwarning",
             folder);
}

/* Waits until something has changed in the watched folder: false after a minute. */
static bool wait_for_change(int watch)
{
    char events[4096];
    struct pollfd poll_of = {.fd = watch, .events = POLLIN};
    return poll(&poll_of, 1, START_WAIT_MS) == 1 && read(watch, events, sizeof events) > 0;
}

static void start_server(void)
{
    char address[256], sockets[80];
    char *arguments[] = {"postgres",
                         "-D",
                         "data",
                         "-k",
                         sockets,
                         "-c",
                         "listen_addresses=",
                         "-c",
                         "shared_buffers=16MB",
                         NULL};
    snprintf(sockets, sizeof sockets, "%s", folder);
    address_of(address, sizeof address);
    /* Its log is there: it is written to before the server can be reached, and when it can. */
    int watch = inotify_init1(IN_CLOEXEC);
    assert_true(watch >= 0 && inotify_add_watch(watch, folder, IN_CREATE | IN_MODIFY) >= 0);
    server = spawn(arguments);
    while (!can_connect(address)) {
        int status;
        if (waitpid(server, &status, WNOHANG) == server || !wait_for_change(watch)) {
            print_log();
            fail_msg("the PostgreSQL server does not come up");
        }
    }
    close(watch);
}

static bool find_programs(void)
{
    const char *given = getenv("ARGOSY_POSTGRES_DIR"), *source = getenv("ARGOSY_SOURCE_DIR");
    if (given != NULL)
        snprintf(programs, sizeof programs, "%s", given);
    else
        snprintf(programs, sizeof programs, "%s/.cache/postgres/pgserver/pginstall/bin",
                 source != NULL ? source : ".");
    char path[600];
    snprintf(path, sizeof path, "%s/postgres", programs);
    return access(path, X_OK) == 0;
}

/* Whether nobody may run the programs where they are: not in a home folder. */
static bool is_open_to_nobody(void)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(setgid(NOBODY) == 0 && setuid(NOBODY) == 0 && access(programs, X_OK) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A copy of the programs, with all that they look for around them, in the server's folder. */
static void copy_programs(void)
{
    char command[1200];
    snprintf(command, sizeof command, "cp -r -- '%s/../../..' '%s/programs'", programs, folder);
    assert_int_equal(system(command), 0);
    snprintf(programs, sizeof programs, "%s/programs/pgserver/pginstall/bin", folder);
}

static void write_password(void)
{
    snprintf(password_file, sizeof password_file, "%s/password", folder);
    FILE *file = fopen(password_file, "we");
    assert_non_null(file);
    fputs(PASSWORD "\n", file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
    /* For the tests' own connections. */
    setenv("PGPASSWORD", PASSWORD, 1);
}

const char *postgres_password_file(void)
{
    return password_file[0] != '\0' ? password_file : NULL;
}

bool postgres_start(char *ret_address, unsigned long address_size)
{
    if (!find_programs()) {
        print_message("skipped: no PostgreSQL server in %s (scripts/get-postgres brings one)\n",
                      programs);
        return false;
    }
    snprintf(folder, sizeof folder, "/tmp/argosy-postgres-XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_password();
    if (getuid() == 0) {
        assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
        assert_int_equal(chown(password_file, NOBODY, NOBODY), 0);
        if (!is_open_to_nobody())
            copy_programs();
    }
    char *arguments[] = {"initdb",        "-D",       "data",     "-U", "argosy", "-A",
                         "scram-sha-256", "--pwfile", "password", "-E", "UTF8",   "--locale=C",
                         "--no-sync",     NULL};
    int status;
    assert_int_not_equal(waitpid(spawn(arguments), &status, 0), -1);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_log();
        fail_msg("initdb failed with %d", status);
    }
    assert_int_equal(chown(password_file, getuid(), getgid()), 0);
    start_server();
    address_of(ret_address, address_size);
    return true;
}

static void kill_server(int signal)
{
    int status;
    kill(server, signal);
    waitpid(server, &status, 0);
}

void postgres_stop(void)
{
    char command[128];
    if (server <= 0)
        return;
    kill_server(SIGINT);
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    assert_int_equal(system(command), 0);
}

void postgres_crash(void)
{
    /* Its children see that the first process is gone; a new one waits for them by itself. */
    kill_server(SIGQUIT);
}

void postgres_resume(void)
{
    start_server();
}

void postgres_run_sql(const char *address, const char *sql)
{
    PGconn *connection = PQconnectdb(address);
    PGresult *result = PQexec(connection, sql);
    bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!is_done)
        print_message("%s: %s", sql, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
    assert_true(is_done);
}
