/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_pdf: see document_pdf.h. The file is the program's standard input, opened anew by its
 * name in /proc, because a PDF is read from its end. What it writes comes through a pipe; what it
 * complains of goes to a file without a name.
 */
#include "workflows/ingest/document_pdf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE_SIZE ((size_t)64 * 1024)

extern char **environ;

struct program {
    pid_t pid;
    int output;    /* read end of its standard output */
    int complaint; /* its standard error */
};

static int spawn_failed(int errnum, struct error *err)
{
    if (errnum == ENOENT)
        return error_set(err, ERR_UNSUPPORTED,
                         "PDF needs the program pdftotext, which is not installed here: install "
                         "the package poppler-utils on the nodes that serve the queue");
    return error_set_errno(err, ERR_IO, errnum, "could not start pdftotext");
}

/* Starts it with fd, output and complaint as its standard descriptors. */
static int program_spawn(int fd, int output, int complaint, pid_t *ret_pid)
{
    char *const arguments[] = {"pdftotext",       "-q", "-enc", "UTF-8", "-eol", "unix", "-nopgbrk",
                               "/proc/self/fd/0", "-",  NULL};
    posix_spawn_file_actions_t actions;
    int errnum = posix_spawn_file_actions_init(&actions);
    if (errnum != 0)
        return errnum;
    errnum = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    if (errnum == 0)
        errnum = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (errnum == 0)
        errnum = posix_spawn_file_actions_adddup2(&actions, complaint, STDERR_FILENO);
    if (errnum == 0)
        errnum = posix_spawnp(ret_pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}

/* The bounds come a moment after the start: before a file has been read they bind nothing. */
static void program_bound(pid_t pid)
{
    const struct rlimit memory = {DOCUMENT_PDF_MEMORY_MAX, DOCUMENT_PDF_MEMORY_MAX};
    const struct rlimit seconds = {DOCUMENT_PDF_SECONDS_MAX, DOCUMENT_PDF_SECONDS_MAX};
    const struct rlimit core = {0, 0};
    prlimit(pid, RLIMIT_AS, &memory, NULL);
    prlimit(pid, RLIMIT_CPU, &seconds, NULL);
    prlimit(pid, RLIMIT_CORE, &core, NULL);
}

static int program_start(int fd, struct program *ret_program, struct error *err)
{
    int pipe_ends[2];
    int complaint = memfd_create("pdftotext", MFD_CLOEXEC);
    if (complaint < 0)
        return error_set_errno(err, ERR_IO, errno, "could not start pdftotext");
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        close(complaint);
        return error_set_errno(err, ERR_IO, errno, "could not start pdftotext");
    }
    pid_t pid;
    int errnum = program_spawn(fd, pipe_ends[1], complaint, &pid);
    close(pipe_ends[1]);
    if (errnum != 0) {
        close(pipe_ends[0]);
        close(complaint);
        return spawn_failed(errnum, err);
    }
    program_bound(pid);
    *ret_program = (struct program){.pid = pid, .output = pipe_ends[0], .complaint = complaint};
    return 0;
}

/* Waits for its end; ERR_INVALID with its first line of complaint unless it was a good one. */
static int program_end(struct program *program, bool is_unwanted, struct error *err)
{
    if (is_unwanted)
        kill(program->pid, SIGKILL);
    int status = -1;
    while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
        ;
    char line[200] = {0};
    ssize_t size = pread(program->complaint, line, sizeof line - 1, 0);
    line[size > 0 ? strcspn(line, "\n") : 0] = '\0';
    close(program->output);
    close(program->complaint);
    if (is_unwanted || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return 0;
    if (WIFSIGNALED(status))
        return error_set(err, ERR_INVALID,
                         "the PDF cannot be read: pdftotext was ended by signal %d (%s)",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    return error_set(err, ERR_INVALID, "the PDF cannot be read: %s",
                     line[0] != '\0' ? line : "pdftotext does not say why");
}

int document_pdf_read(int fd,
                      int (*write)(void *context, const char *data, size_t size, struct error *err),
                      void *context, struct error *err)
{
    char *piece = malloc(PIECE_SIZE);
    if (piece == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct program program;
    int code = program_start(fd, &program, err);
    if (code != 0) {
        free(piece);
        return code;
    }
    ssize_t count = 1;
    while (code == 0 && count != 0) {
        count = read(program.output, piece, PIECE_SIZE);
        if (count > 0)
            code = write(context, piece, (size_t)count, err);
        else if (count < 0 && errno != EINTR)
            code = error_set_errno(err, ERR_IO, errno, "could not read from pdftotext");
    }
    free(piece);
    int end_code = program_end(&program, code != 0, err);
    return code != 0 ? code : end_code;
}
