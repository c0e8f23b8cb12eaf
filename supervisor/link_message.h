/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_message: what the supervisor and its link say to each other (docs/spec/04-supervision.md,
 * section "Link"): fixed-size records on a sequenced-packet socket pair, whose link end is named by
 * ARGOSY_LINK_FD. A record of another size is an error of ours.
 *
 * The supervisor repeats to a new link what the last one had not acknowledged; the engine takes the
 * same death twice as once.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_MESSAGE_H
#define ARGOSY_SUPERVISOR_LINK_MESSAGE_H

#include <stdint.h>

#include "common/uuid.h"
#include "supervisor/death.h"

#define LINK_ENV_FD "ARGOSY_LINK_FD"

/* Deaths without an acknowledgement that are remembered. The engine finds out about others by their
 * leases. */
#define LINK_PENDING_MAX 256

/* Supervisor to link: a worker process died. */
struct link_death {
    uint64_t sequence; /* from 1, never twice in a supervisor's life */
    int64_t pid;
    char instance_id[UUID_TEXT_SIZE];
    char reason[DEATH_TEXT_MAX];
};

/* Link to supervisor: the engine knows of that death. */
struct link_ack {
    uint64_t sequence;
};

#endif
