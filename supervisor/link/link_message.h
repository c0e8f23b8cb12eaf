/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_message: what the supervisor and its link say to each other (docs/spec/04-supervision.md,
 * section "Link"): fixed-size records on a sequenced-packet socket pair, whose link end is named by
 * ARGOSY_LINK_FD. A record of another kind or size is an error of ours.
 *
 * The supervisor repeats to a new link what the last one had not acknowledged; the engine takes the
 * same death twice as once.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_MESSAGE_H
#define ARGOSY_SUPERVISOR_LINK_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/uuid.h"
#include "supervisor/death.h"

#define LINK_ENV_FD "ARGOSY_LINK_FD"

/* Deaths without an acknowledgement that are remembered. The engine finds out about others by their
 * leases. */
#define LINK_PENDING_MAX 256

/* The first field of every record. */
enum link_record {
    LINK_RECORD_DEATH = 1,
    LINK_RECORD_ACK,
    LINK_RECORD_ORDER,
    LINK_RECORD_ANSWER,
};

/* Supervisor to link: a worker process died. */
struct link_death {
    uint32_t kind;
    uint64_t sequence; /* from 1, never twice in a supervisor's life */
    int64_t pid;
    char instance_id[UUID_TEXT_SIZE];
    char reason[DEATH_TEXT_MAX];
};

/* Link to supervisor: the engine knows of that death. */
struct link_ack {
    uint32_t kind;
    uint64_t sequence;
};

/* Numbered as the API's NodeOperation. */
enum link_operation {
    LINK_OPERATION_DRAIN = 2,   /* workers end and stay down */
    LINK_OPERATION_UNDRAIN = 3, /* they may start again */
    LINK_OPERATION_RESTART = 4, /* processes are replaced, as far as their group can spare them */
    LINK_OPERATION_SCALE = 5,   /* a group has count processes; -1: as configured */
    LINK_OPERATION_RELOAD = 6,  /* the configuration is read again */
    LINK_OPERATION_UPGRADE = 7, /* the supervisor starts its program again, under its children */
};

#define LINK_TARGET_MAX 96

/* Link to supervisor: an operator's order. */
struct link_order {
    uint32_t kind;
    uint32_t operation;           /* enum link_operation */
    uint64_t id;                  /* the link's own */
    int32_t count;                /* of a scale */
    bool keep;                    /* of a drain or scale: over a restart of the supervisor */
    char target[LINK_TARGET_MAX]; /* "GROUP", "GROUP/INDEX", "": all workers; of a restart also the
                                     node's own processes by name */
};

/* Supervisor to link: it was taken, or why not. Not repeated: who asked has given up when the link
 * dies. */
struct link_answer {
    uint32_t kind;
    int32_t code; /* 0, or an error code */
    uint64_t id;
    char text[ERROR_TEXT_MAX]; /* what a reload changed, or why it was not done */
};

/* Room for a record of any kind. */
union link_any {
    uint32_t kind;
    struct link_death death;
    struct link_ack ack;
    struct link_order order;
    struct link_answer answer;
};

#endif
