/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: one supervised process: what to start, its lifecycle, and the descriptors that tie it to
 * the supervisor.
 *
 * Threading: the supervisor's loop only. The loop polls pidfd (readable: it died) and ready_fd
 * (readable: it serves, or will never say so), and log's; progress is read when the lifecycle's
 * deadline comes, so that a busy child does not wake the supervisor.
 */
#ifndef ARGOSY_SUPERVISOR_PROCESS_H
#define ARGOSY_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fleet_config.h"
#include "common/uuid.h"
#include "supervisor/log/crash_folder.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log/log_stream.h"
#include "supervisor/loop.h"
#include "supervisor/memory/memory_limit.h"
#include "supervisor/placement/placement.h"
#include "supervisor/service_manager.h"
#include "supervisor/spawn.h"

/* The order of starting; stopping goes the other way. */
enum process_rank {
    PROCESS_RANK_ENGINE,
    PROCESS_RANK_STORAGE,
    PROCESS_RANK_LINK,
    PROCESS_RANK_GPU_HEALTH,
    PROCESS_RANK_WORKER,
};
#define PROCESS_RANK_COUNT 5

struct process {
    /* identity */
    char name[PLACEMENT_NAME_MAX];  /* "engine", "storage", "link", "cpu/0" */
    char group[PLACEMENT_NAME_MAX]; /* of a worker; "" for the node's own */
    enum process_rank rank;
    struct log_line_writer writer;
    struct placement_pin pin; /* its group is the config's in force; NULL when retired */

    /* state */
    struct lifecycle lifecycle;
    pid_t pid; /* 0: none */
    char instance_id[UUID_TEXT_SIZE];
    uint64_t started_ns; /* of this pid */
    uint32_t restarts[DEATH_KIND_COUNT];
    struct memory_share memory;
    uint32_t pins_refused; /* times the kernel refused cores, or to bind memory */
    bool is_misplaced;     /* the plan gives it other processors than it runs on */
    bool is_drained;       /* an operator wants it down */
    bool is_drain_kept;    /* over a restart of the supervisor, too */
    bool is_stale;         /* is to be restarted when its group can spare it */
    uint64_t stale_ns;     /* since when */
    bool is_retired;       /* the plan no longer has it */

    /* links; -1: none */
    int pidfd;
    int ready_fd;
    int progress_fd;
    int lifeline_fd;
    int link_fd;            /* link only: our end of the socket pair */
    int gpu_fd;             /* the same of the helper for GPUs */
    struct log_stream *log; /* its output; NULL until its first start */
    struct loop_source death_source, ready_source, link_source, gpu_source, log_source;
};

/* What all processes share. Borrowed. */
struct process_setting {
    const char *program_dir;
    const char *config_path; /* of the effective configuration */
    const struct fleet_config *config;
    int http_fd;   /* for the link: the listening socket; -1: no HTTP */
    int status_fd; /* for the link: the status page */
    struct memory_limit *memory;
    struct service_manager *manager; /* for the engine: sockets that listen already */
    const struct crash_folder *crashes;
    const char *const *arguments; /* the supervisor's own: ends with NULL */
    int lock_fd;                  /* of the data folder */
};

void process_init(struct process *process, const struct placement_pin *pin);

/* Frees what it owns; what runs goes on. */
void process_fini(struct process *process);

/* A new plan has it, too: where it runs from its next start on, and its times from now on. */
void process_plan(struct process *process, const struct placement_pin *pin);

/* The plan no longer has it. */
void process_retire(struct process *process);

/* Starts it (idle or backoff). On failure the lifecycle has noted a death; err says why. */
int process_start(struct process *process, const struct process_setting *setting,
                  struct error *err);

/* Takes over the output of a process that another supervisor started; -1: it has none. ERR_MEMORY.
 */
int process_adopt_log(struct process *process, int log_fd, struct error *err);

/* Reads ready_fd. Returns whether the process said that it is ready; a pipe that ended without it
 * is closed. */
bool process_read_ready(struct process *process);

/* Reads what progress was told and calls lifecycle_tick. */
enum lifecycle_action process_tick(struct process *process);

/* It is to be restarted; who does not run and will be started anyway is not. */
void process_set_stale(struct process *process);

/* Tells it to read its configuration again, if it runs. */
void process_hang_up(const struct process *process);

/* Carries out what the lifecycle asked for; DO_START is the caller's. */
void process_signal(struct process *process, enum lifecycle_action action);

/* Reaps it after pidfd told of its death, kills what is left of its process group, closes the
 * descriptors, moves the lifecycle and tells how it ended. False when it has not died. */
bool process_reap(struct process *process, const struct process_setting *setting,
                  struct death *ret_death);

#endif
