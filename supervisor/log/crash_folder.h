/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_folder: what is left of processes that died unasked, in <data_dir>/crashes, for whoever
 * looks for the reason (docs/spec/04-supervision.md, section "Log").
 *
 * Each death has a text file: when, who, why, and the last lines it wrote; and its core dump where
 * the configuration allows one (supervisor.core_keep_mb) and the kernel leaves it here. The folder
 * is bounded: CRASH_COUNT_MAX files and log_keep_mb of texts, core_keep_mb of core dumps; the
 * oldest go first. Files are for their owner alone: a core dump holds models, payloads and keys,
 * and a plug-in may have written anything.
 *
 * A disk may hang, and the supervisor must not: files are written by a short-lived child, which is
 * given CRASH_WRITE_S and is nobody's to wait for but crash_folder_close's.
 *
 * Threading: single-threaded programs only (it forks).
 */
#ifndef ARGOSY_SUPERVISOR_CRASH_FOLDER_H
#define ARGOSY_SUPERVISOR_CRASH_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/fleet_config.h"

#define CRASH_FOLDER    "crashes"
#define CRASH_COUNT_MAX 200
#define CRASH_WRITE_S   60

/* What the living write when they are asked (crash_folder_snap). */
#define CRASH_SNAPSHOT "last-lines.txt"

struct crash_folder {
    char path[PATH_MAX];
    char snapshot_path[PATH_MAX];
    uint64_t text_bytes_max;
    uint64_t core_bytes_max; /* 0: no core dumps */
    char core_pattern[256];  /* the kernel's */
    int writing_fds[2];      /* the second is held by whoever writes; -1: not open */
};

/* A death. Borrowed. */
struct crash {
    const char *node;
    const char *name;    /* "cpu/0" */
    const char *program; /* "argosy-worker-cpu" */
    const char *instance_id;
    const char *reason; /* as death_format says it */
    pid_t pid;
    int status; /* as waitpid gives it */
    unsigned death_count;
    uint64_t life_ns;
    int64_t died_utc_us;
    const struct buffer *last_lines;
};

/* Makes the folder, mode 0700, and asks the kernel where core dumps go. ERR_IO. */
int crash_folder_open(struct crash_folder *folder, const char *data_dir,
                      const struct fleet_supervisor *setting, struct error *err);

/* Waits for at most wait_ms for those that still write. */
void crash_folder_close(struct crash_folder *folder, int wait_ms);

/* Takes other bounds; for what starts and dies from here on. */
void crash_folder_set(struct crash_folder *folder, const struct fleet_supervisor *setting);

/* Writes a death down, in a child. ret_path is where; ERR_IO when there can be no child. */
int crash_folder_keep(struct crash_folder *folder, const struct crash *crash,
                      char ret_path[PATH_MAX], struct error *err);

/* Writes text to the snapshot's path, in a child; readers see the old file or the new one. ERR_IO.
 */
int crash_folder_snap(struct crash_folder *folder, const struct buffer *text, struct error *err);

/* The folder in which a process is to run so that its core dump lands here, made; "" where that is
 * of no use: it then runs where the supervisor does. ERR_IO. */
int crash_folder_core_place(const struct crash_folder *folder, const char *name,
                            char ret_path[PATH_MAX], struct error *err);

/* RLIMIT_CORE of children. 1 is the kernel's word for none, even where core dumps go to a program,
 * which no other limit keeps from them. */
uint64_t crash_folder_core_limit(const struct crash_folder *folder);

/* What the child does: writes, moves the core dump, removes what is too much. path is the text's.
 * ERR_IO. */
int crash_folder_write(const struct crash_folder *folder, const struct crash *crash,
                       const char *path, struct error *err);

#endif
