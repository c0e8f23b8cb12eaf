/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_encoder: stands between a GPU worker and its encoder (the linker wraps encoder_run), so
 * that a test knows which texts share a batch, holds a batch in the middle and has one that kills
 * every process it meets; and between its trainings and the SDK, so that work lasts for as long as
 * a test wants. Without $PROBE_DIR it only passes on.
 *
 * Each batch is a line of the file `batches` in $PROBE_DIR, one write(2):
 *
 *     batch pid=<pid> texts=<n> tokens=<n> poisoned=<0|1>
 *
 * Each job that waits for a batch is a line of the file `jobs`. A text of just $PROBE_POISON_TOKENS
 * tokens is poisoned: its batch ends the process, as a failed device does. The file `hold` holds
 * the next batch of one process: it goes away, and the batch waits until a byte is written to the
 * FIFO `gate`. While the file `slow` is there, a batch takes SLOW_BATCH_MS longer, and a step of a
 * training SLOW_STEP_MS.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <argosy/activity.h>

#include "common/assert.h"
#include "common/exit_code.h"
#include "worker_gpu/batcher.h"
#include "worker_gpu/encoder.h"

#define PATH_SIZE 512

enum { SLOW_BATCH_MS = 100, SLOW_STEP_MS = 1 };

int __real_encoder_run(struct encoder *encoder, const struct token_source *source,
                       float *ret_vectors, float *ret_probabilities, struct error *err);
int __wrap_encoder_run(struct encoder *encoder, const struct token_source *source,
                       float *ret_vectors, float *ret_probabilities, struct error *err);
int __real_batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err);
int __wrap_batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err);
bool __real_argosy_activity_is_canceled(const struct argosy_activity *activity);
bool __wrap_argosy_activity_is_canceled(const struct argosy_activity *activity);

static const char *probe_path(const char *name, char path[PATH_SIZE])
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", getenv("PROBE_DIR"), name);
    ASSERT(length < PATH_SIZE);
    return path;
}

static bool is_poisoned(const struct token_source *source)
{
    const char *text = getenv("PROBE_POISON_TOKENS");
    uint32_t tokens = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;
    for (uint32_t i = 0; i < source->texts; i++) {
        if (source->cu_seqlens[i + 1] - source->cu_seqlens[i] == tokens)
            return true;
    }
    return false;
}

static void append(const char *name, const char *line)
{
    char path[PATH_SIZE];
    size_t length = strlen(line);
    int fd = open(probe_path(name, path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    ASSERT(fd >= 0);
    ASSERT(write(fd, line, length) == (ssize_t)length);
    close(fd);
}

static void tell(const struct token_source *source, bool poisoned)
{
    char line[128];
    snprintf(line, sizeof line, "batch pid=%d texts=%u tokens=%u poisoned=%d\n", (int)getpid(),
             source->texts, source->tokens, poisoned);
    append("batches", line);
}

int __wrap_batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err)
{
    char line[64];
    snprintf(line, sizeof line, "job pid=%d texts=%u\n", (int)getpid(), job->texts);
    int code = __real_batcher_submit(batcher, job, err);
    if (code == 0 && getenv("PROBE_DIR") != NULL)
        append("jobs", line);
    return code;
}

static void wait_if_held(void)
{
    char path[PATH_SIZE], byte;
    if (unlink(probe_path("hold", path)) != 0)
        return; /* nobody asked, or another process holds its batch */
    int fd = open(probe_path("gate", path), O_RDONLY | O_CLOEXEC);
    ASSERT(fd >= 0);
    ASSERT(read(fd, &byte, 1) == 1);
    close(fd);
}

static void wait_if_slow(int ms)
{
    char path[PATH_SIZE];
    if (access(probe_path("slow", path), F_OK) == 0)
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* A training asks it at each step. */
bool __wrap_argosy_activity_is_canceled(const struct argosy_activity *activity)
{
    if (getenv("PROBE_DIR") != NULL &&
        strcmp(argosy_activity_info(activity)->activity_type, "train_classifier") == 0)
        wait_if_slow(SLOW_STEP_MS);
    return __real_argosy_activity_is_canceled(activity);
}

int __wrap_encoder_run(struct encoder *encoder, const struct token_source *source,
                       float *ret_vectors, float *ret_probabilities, struct error *err)
{
    if (getenv("PROBE_DIR") != NULL) {
        bool poisoned = is_poisoned(source);
        tell(source, poisoned);
        if (poisoned)
            _exit(EXIT_GPU_POISONED);
        wait_if_held();
        wait_if_slow(SLOW_BATCH_MS);
    }
    return __real_encoder_run(encoder, source, ret_vectors, ret_probabilities, err);
}
