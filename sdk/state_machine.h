/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_machine: a state and the table of what may follow it.
 *
 * Each kind of command keeps its table beside its code, with the diagram above it. state_move is
 * the only way a state changes. Whether a history makes a legal sequence is input from outside:
 * callers ask state_can_move before they apply an event; state_move asserts.
 */
#ifndef ARGOSY_SDK_STATE_MACHINE_H
#define ARGOSY_SDK_STATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/assert.h"

struct state_row {
    const char *name;
    uint32_t next; /* bit n: state n may follow */
};

#define STATE_BIT(state) (UINT32_C(1) << (state))

struct state_machine {
    const struct state_row *rows;
    uint32_t state;
};

static inline bool state_can_move(const struct state_machine *machine, uint32_t next)
{
    return (machine->rows[machine->state].next & STATE_BIT(next)) != 0;
}

static inline void state_move(struct state_machine *machine, uint32_t next)
{
    ASSERT(state_can_move(machine, next));
    machine->state = next;
}

#endif
