/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_health: what is known of a node's GPUs, and what follows from it for their workers
 * (docs/spec/04-supervision.md, section "GPU health"). A pure part: records and the time are handed
 * in, what is to be done comes back.
 *
 *                figures                trouble that is told
 *     unwatched ─────────► well ◄───────────────────────► degraded
 *        ▲                  │                                │
 *        │ nobody watches   │ trouble that drains            │
 *        ├──────────────────┼────────────────────────────────┤
 *        │ an operator      ▼                                │
 *        └──────────────── bad ◄─────────────────────────────┘
 *
 * A bad GPU stays bad until an operator says otherwise: what broke once has not mended by being
 * silent.
 *
 * Threading: a board belongs to its owner.
 */
#ifndef ARGOSY_SUPERVISOR_GPU_HEALTH_H
#define ARGOSY_SUPERVISOR_GPU_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fleet_config.h"
#include "supervisor/gpu/gpu_record.h"

/* No sample is believed alone: so many in a row make a GPU hot. */
#define GPU_HOT_SAMPLES 3
#define GPU_REASON_MAX  96

/* What an Xid asks for. */
enum gpu_answer {
    GPU_ANSWER_NOTHING, /* an application's own error: its process hears of it by itself */
    GPU_ANSWER_RESTART, /* the GPU's workers are to be started anew */
    GPU_ANSWER_DRAIN,   /* the GPU is bad */
};

/* Numbers up to FLEET_XID_MAX, a bit each. */
struct gpu_xid_set {
    uint64_t bits[(FLEET_XID_MAX + 1) / 64];
};

struct gpu_rules {
    struct gpu_xid_set ignored; /* besides the known errors of applications */
    struct gpu_xid_set fatal;   /* whatever the table says; wins over ignored */
    uint32_t temperature_max;   /* degrees Celsius from which on a GPU is bad; 0: none */
};

enum gpu_state { GPU_STATE_UNWATCHED, GPU_STATE_WELL, GPU_STATE_DEGRADED, GPU_STATE_BAD };
#define GPU_STATE_COUNT 4

/* A GPU or a slice of one: one of the topology's gpus. */
struct gpu_unit {
    struct gpu_identity identity; /* completed by what the helper tells */

    enum gpu_state state;
    uint64_t since_ns;           /* when it came into this state */
    char reason[GPU_REASON_MAX]; /* of degraded and bad */

    uint64_t seen_ns; /* when the figures were told; 0: there are none */
    uint64_t known;   /* as in gpu_record: the latest figures */
    uint64_t figures[GPU_FIGURE_COUNT];
    uint64_t last_xid; /* 0: none since the board was made */
    uint64_t xid_count;
    uint64_t corrected_count; /* events of corrected memory errors */
    unsigned hot_row;         /* samples in a row above what the hardware stands */
    unsigned max_row;         /* and above temperature_max */
};

struct gpu_board {
    struct gpu_rules rules;
    struct gpu_unit units[HARDWARE_GPU_MAX]; /* in the topology's order */
    size_t count;
};

/* What a record changed: a bit for each unit, by its place. */
struct gpu_change {
    uint64_t states;  /* is in another state now */
    uint64_t bad;     /* has become bad: its workers go down and stay down */
    uint64_t restart; /* its workers are to be started anew */
    uint64_t events;  /* something befell it, told whatever follows */
};

/* The rules of a configuration; nothing of it is kept. */
void gpu_rules_init(struct gpu_rules *rules, const struct fleet_gpu_health *config);

/* What an Xid asks for by the rules. */
enum gpu_answer gpu_xid_answer(const struct gpu_rules *rules, uint64_t xid);

/* "xid 79 (fell off the bus)" into out, which is returned. */
const char *gpu_xid_format(uint64_t xid, char out[GPU_REASON_MAX]);

/* The unit of a GPU that the machine has: unwatched. */
void gpu_unit_init(struct gpu_unit *unit, const struct hardware_gpu *gpu, uint64_t now_ns);

/* Whether both are one GPU or one slice, told apart by what is known of both: UUID, else bus id,
 * else device file. A slice has no name but its UUID. */
bool gpu_identity_is_same(const struct gpu_identity *left, const struct gpu_identity *right);

/* How a unit is called where it has no name: its uuid, bus id, or "nvidia3". Into out, returned. */
#define GPU_KEY_MAX sizeof((struct gpu_identity *)0)->uuid
const char *gpu_unit_key(const struct gpu_unit *unit, char out[GPU_KEY_MAX]);

/* Takes a record of the helper. A record of a GPU that is not on the board changes nothing. */
struct gpu_change gpu_board_take(struct gpu_board *board, const struct gpu_record *record,
                                 uint64_t now_ns);

/* Nobody watches any more: what is not bad becomes unwatched. Returns which did. */
uint64_t gpu_board_forget(struct gpu_board *board, uint64_t now_ns);

/* Makes a unit bad for a reason. False when it was so. */
bool gpu_unit_condemn(struct gpu_unit *unit, const char *reason, uint64_t now_ns);

/* An operator has a bad unit trusted again; with a slice the GPU that it is part of. False when
 * there was nothing bad. */
bool gpu_board_trust(struct gpu_board *board, size_t place, uint64_t now_ns);

/* "unwatched", "well", "degraded", "bad" */
const char *gpu_state_name(enum gpu_state state);

#endif
