/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_page: what the supervisor knows of its processes, in memory that it shares with its link
 * (docs/spec/04-supervision.md, section "Status"). The link reads it without asking, so that probes
 * are answered whatever the supervisor is doing, and can tell whether its loop still turns.
 *
 * One writer, any number of readers, under a sequence lock: odd while it is written. The heartbeat
 * stands outside of it. The page is a memfd, named to the link by ARGOSY_STATUS_FD; times are
 * CLOCK_MONOTONIC, which all processes of a node share.
 *
 * Threading: one thread writes; a reader object belongs to one thread.
 */
#ifndef ARGOSY_SUPERVISOR_STATUS_PAGE_H
#define ARGOSY_SUPERVISOR_STATUS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hardware.h"
#include "supervisor/gpu/gpu_health.h"
#include "supervisor/lifecycle.h"

#define STATUS_ENV_FD "ARGOSY_STATUS_FD"

/* The supervisor's loop turns at least this often. */
#define STATUS_TURN_NS (2 * NS_PER_S)
/* A heartbeat that is older tells of a loop that no longer turns: five turns. */
#define STATUS_STALE_NS (10 * NS_PER_S)

#define STATUS_NAME_MAX 96
#define STATUS_CPUS_MAX 128
#define STATUS_UUID_MAX 64 /* as struct hardware_gpu has them */
#define STATUS_GPU_MAX  HARDWARE_GPU_MAX
#define STATUS_UNKNOWN  (-1) /* of a figure that cannot be negative */

/* Room for processes: some seven for each of 64 GPUs. A page takes memory as it is filled. */
#define STATUS_PROCESS_MAX 4096

struct status_process {
    char name[STATUS_NAME_MAX];  /* "engine", "link", "cpu/0" */
    char group[STATUS_NAME_MAX]; /* of a worker; "" for the fleet's own processes */
    int32_t pid;                 /* 0: none */
    int32_t state;               /* enum lifecycle_state */
    bool was_ready;              /* at least once */
    bool is_drained;             /* an operator or the state of its GPU wants it down */
    bool is_stale;               /* is to be restarted */
    bool is_retired;             /* the plan no longer has it: it ends */
    uint64_t started_ns;         /* of the process there is; 0: none */
    uint32_t restarts[DEATH_KIND_COUNT];
    uint64_t death_ns; /* the last one; 0: none */
    char death[DEATH_TEXT_MAX];
    /* where it runs */
    char cpus[STATUS_CPUS_MAX]; /* "0-3,8"; "": not pinned */
    int32_t memory_node;        /* the system's NUMA node that memory is bound to; STATUS_UNKNOWN */
    char gpu[STATUS_UUID_MAX];  /* UUID, or bus id; "": none */
    /* what befell it */
    uint32_t pins_refused;       /* starts on which the kernel refused cores or memory */
    bool is_crash_looping;       /* it dies again and again, each time after a short life */
    uint64_t memory_limit_bytes; /* 0: none */
};

/* A GPU of the node as its health helper last saw it. */
struct status_gpu {
    char uuid[STATUS_UUID_MAX];
    char bus_id[24];
    char model[64];
    int32_t health; /* enum gpu_state */
    char reason[STATUS_NAME_MAX];
    uint64_t since_ns;           /* when it came into this state */
    uint64_t seen_ns;            /* when these figures were taken; 0: never */
    int32_t utilization_percent; /* STATUS_UNKNOWN where NVML does not tell, as below */
    int32_t temperature_celsius;
    int32_t power_watts;
    int64_t memory_used_bytes;
    int64_t memory_total_bytes;
    int64_t ecc_errors;         /* uncorrected, since the driver was loaded */
    int64_t ecc_errors_of_life; /* and in its life */
    int64_t rows_remapped;      /* rows of memory replaced by spare ones */
    int32_t row_pending;        /* 1: a replacement waits for a reset */
    int32_t row_failure;        /* 1: a row could not be replaced */
    int32_t last_xid;           /* 0: none */
    uint64_t xid_count;         /* since the supervisor started; so is the next */
    uint64_t corrected_count;   /* reports of corrected memory errors */
    bool is_throttled;          /* slowed down by heat or power */
};

enum status_phase { STATUS_PHASE_STARTING, STATUS_PHASE_RUNNING, STATUS_PHASE_STOPPING };

/* The page as a reader sees it. */
struct status {
    uint64_t heartbeat_ns; /* when the loop last turned */
    uint64_t started_ns;   /* when the supervisor began */
    enum status_phase phase;
    size_t process_count;
    struct status_process *processes; /* in the order of the roster */
    size_t gpu_count;
    struct status_gpu gpus[STATUS_GPU_MAX]; /* in the machine's order */
};

/* The supervisor's side */

struct status_page;

/* A page without processes. ERR_IO, ERR_MEMORY. */
int status_page_create(struct status_page **ret_page, struct error *err);

/* Accepts NULL. */
void status_page_destroy(struct status_page *page);

/* What the link inherits. */
int status_page_fd(const struct status_page *page);

void status_page_beat(struct status_page *page, uint64_t now_ns);

/* Between begin and end the first count rows, at most STATUS_PROCESS_MAX, may be written. */
struct status_process *status_page_begin(struct status_page *page, size_t count);
void status_page_end(struct status_page *page, enum status_phase phase);

/* Between begin and end, too: the page's GPUs, of which there is room for STATUS_GPU_MAX. */
void status_page_set_gpus(struct status_page *page, const struct status_gpu *gpus, size_t count);

/* The link's side */

struct status_reader;

/* Takes fd over on success. ERR_INVALID when it is no page of this build. */
int status_reader_open(int fd, struct status_reader **ret_reader, struct error *err);

/* Accepts NULL. */
void status_reader_close(struct status_reader *reader);

/* The page as it is now; borrowed until the next call. ERR_UNAVAILABLE when the writer stopped in
 * the middle of a change; the heartbeat is there all the same. */
int status_read(struct status_reader *reader, const struct status **ret_status, struct error *err);

/* The place of a group's first process; process_count when it has none. What is retired stands
 * apart from the rest of its group. */
size_t status_group_first(const struct status *status, const char *group);

/* Whether the supervisor's loop turns. */
bool status_is_alive(const struct status *status, uint64_t now_ns);

#endif
