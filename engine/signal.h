/* SPDX-License-Identifier: Apache-2.0 */
/* signal: messages to a run (docs/spec/02-history.md, section 2). */
#ifndef ARGOSY_ENGINE_SIGNAL_H
#define ARGOSY_ENGINE_SIGNAL_H

#include "engine/core_state.h"

struct signal {
    const char *name;
    const Api__Payloads *input;
    const char *identity;
    const char *request_id; /* the same one again is accepted and changes nothing */
    const Api__Header *header;
};

int signal_check(const struct signal *signal, struct error *err);

/* Signals an open run. ERR_LIMIT when it has had too many. */
int signal_run(struct core *core, struct run *run, const struct signal *signal, struct error *err);

/* The event alone: for a run that is just being started. */
void signal_record(struct core *core, struct run *run, const struct signal *signal);

#endif
