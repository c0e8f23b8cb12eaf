/* SPDX-License-Identifier: Apache-2.0 */
/* storage_process: see storage_process.h. */
#include "tests/test.h"

#include "tests/integration/storage/storage_process.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void storage_process_start(struct storage_process *process)
{
    char program[512], config[96];
    const char *folder = getenv("ARGOSY_BIN_DIR");
    assert_non_null(folder);
    snprintf(program, sizeof program, "%s/argosy-storage", folder);
    snprintf(config, sizeof config, "%s/fleet.yaml", process->folder);
    pid_t parent = getpid();
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execl(program, program, "--config", config, (char *)NULL);
    _exit(127);
}

void storage_process_kill(struct storage_process *process, int signal_number)
{
    int status;
    assert_int_equal(kill(process->pid, signal_number), 0);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    if (signal_number == SIGTERM)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
    process->pid = 0;
}

void storage_process_open(struct storage_process *process, const char *storage)
{
    static const struct hardware hardware = {.cpus = 2};
    struct error err = {0};
    char text[512], path[96];
    *process = (struct storage_process){.folder = "/tmp/argosy-storage-XXXXXX"};
    assert_non_null(mkdtemp(process->folder));
    int size = snprintf(text, sizeof text,
                        "node: n\ndata_dir: %s\nlog_level: warn\nstorage: {enabled: true%s%s}\n",
                        process->folder, storage[0] != '\0' ? ", " : "", storage);
    snprintf(path, sizeof path, "%s/fleet.yaml", process->folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, (size_t)size, file), size);
    assert_int_equal(fclose(file), 0);
    if (fleet_config_parse(text, (size_t)size, path, process->folder, &hardware, &process->config,
                           &err) != 0 ||
        storage_client_open(process->config, NULL, &process->client, &err) != 0)
        fail_msg("%s", err.text);
    storage_process_start(process);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void storage_process_close(struct storage_process *process)
{
    storage_client_close(process->client);
    if (process->pid != 0)
        storage_process_kill(process, SIGTERM);
    fleet_config_destroy(process->config);
    nftw(process->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
