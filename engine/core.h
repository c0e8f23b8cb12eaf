/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core: the deterministic heart of the engine. It is handed (now, entropy, request), changes its
 * state and appends to an outbox: durable writes first, then replies. It does no I/O and reads no
 * clock, no random source and no file: the same inputs give the same outputs, bit for bit, which is
 * what the simulator (tests/simulation) relies on.
 *
 * The shell around it (engine/server.h) owns sockets, the store and time, and keeps this promise
 * for it: replies leave only after the writes of their outbox, and of every outbox before it, are
 * durable. Only replies marked `early` (workflow tasks: workflow code has no side effects) may
 * leave sooner. Event order and content: docs/spec/02-history.md; activities:
 * docs/spec/03-activity.md.
 *
 * State is rebuilt from the runs' logs alone: one function applies a record to a run, live and on
 * recovery. Open runs live in memory; a closed run stays until core_durable says that its last
 * write is on disk, and is later read back through `struct core_lookup`.
 *
 * Threading: one thread at a time. Errors of requests are replies, never return codes; a core that
 * runs out of memory aborts, and recovers from the log.
 */
#ifndef ARGOSY_ENGINE_CORE_H
#define ARGOSY_ENGINE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/messages.h"
#include "api/method.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/limits.h"
#include "engine/outbox.h"
#include "engine/store.h"

struct core;

struct core_config {
    int64_t workflow_task_timeout_us; /* default start-to-close of a workflow task: 10 s */
    int64_t long_poll_timeout_us;     /* empty answer to a one-shot poll: 60 s */
    int64_t history_poll_timeout_us;  /* empty answer to a waiting history request: 20 s */
    int64_t reclaim_grace_us;         /* after recovery, how long sessions have to claim: 10 s */
    int32_t loss_limit;               /* losses without progress that fail an attempt: 3 */
    bool skips_time;                  /* the shell may skip it where core_skip_utc_us says: no */
};

/* The values above. */
struct core_config core_config_default(void);

/* What every call is handed. Time never goes back (the shell clamps it). */
struct core_input {
    int64_t now_utc_us;
    uint64_t entropy[2]; /* fresh random bits for this call */
};

/* A request, decoded. `lookup` is NULL at first; see core_handle. */
struct core_request {
    uint64_t session;        /* never reused */
    uint64_t correlation;    /* unique within the session */
    int64_t deadline_utc_us; /* when the caller stops waiting; 0: never */
    enum method method;
    const ProtobufCMessage *body; /* of the method's request type; borrowed for the call */
    const struct core_lookup *lookup;
};

/* A closed run, read from the store on the core's behalf; found is false when there is none. */
struct core_lookup {
    bool found;
    struct store_run run;             /* borrowed for the call */
    const struct store_blob *records; /* the run's whole log, in order; NULL if not asked for */
    size_t record_count;
};

/* Which closed run a request is about: by run_id if that is not empty, else the latest of the id.
 */
struct core_need {
    char namespace_name[LIMIT_ID_LENGTH + 1];
    char workflow_id[LIMIT_ID_LENGTH + 1];
    char run_id[LIMIT_ID_LENGTH + 1];
    bool with_records; /* its log too, not only its store_run */
};

struct core *core_create(const struct core_config *config);
void core_destroy(struct core *core);

/* Handles one request. Returns CORE_HANDLED, with the effects in outbox (a reply may come at once
 * or in the outbox of a later call), or CORE_NEEDS_RUN: nothing has changed and nothing was
 * appended; the shell looks *ret_need up in the store and calls again with the same request and its
 * lookup. */
enum core_result { CORE_HANDLED, CORE_NEEDS_RUN };
enum core_result core_handle(struct core *core, const struct core_input *input,
                             const struct core_request *request, struct core_need *ret_need,
                             struct outbox *outbox);

/* The session is gone (lease expired, undeliverable, replaced, connection closed): its polls end,
 * its requests are forgotten, its attempts are lost. Unknown sessions are ignored. */
void core_session_lost(struct core *core, const struct core_input *input, uint64_t session,
                       const char *reason, struct outbox *outbox);

/* Time passed: fires every timer that is due. */
void core_tick(struct core *core, const struct core_input *input, struct outbox *outbox);

/* When core_tick must be called next at the latest; INT64_MAX when nothing is waiting. */
int64_t core_next_tick_utc_us(const struct core *core);

/* Where time may jump to, for tests of workflows that wait for days: the next deadline of a run,
 * when nothing can run before it and somebody waits for that. INT64_MAX: it must not jump. Costs a
 * look at every run. */
int64_t core_skip_utc_us(const struct core *core);

/* Everything written by outboxes up to and including this sequence number is durable. */
void core_durable(struct core *core, uint64_t outbox_sequence);

/* Before recovery: the configuration's bound on the activities of a queue that run at once. */
void core_configure_queue(struct core *core, const char *queue, int32_t max_in_flight);

/* The configuration was read again: its bounds are these now, and there are no others. What
 * operators set goes before it, as ever. */
struct core_queue_limit {
    const char *queue;
    int32_t max_in_flight;
};
void core_reconfigure_queues(struct core *core, const struct core_input *input,
                             const struct core_queue_limit *limits, size_t count,
                             struct outbox *outbox);

/* Recovery: a setting that was kept (store_scan_settings); goes before the configuration.
 * ERR_CORRUPT. */
int core_recover_setting(struct core *core, const char *name, const struct store_blob *value,
                         struct error *err);

/* Recovery, before the first core_handle: once for every open run, then core_recovered. ERR_CORRUPT
 * when a log cannot be applied: the engine must not start on it. */
int core_recover_run(struct core *core, const struct store_run *run,
                     const struct store_blob *records, size_t record_count, struct error *err);
/* next_run_key: greater than every run key in the store. Attempts that were dispatched wait for
 * their sessions for reclaim_grace_us and are lost after that. */
void core_recovered(struct core *core, const struct core_input *input, int64_t next_run_key,
                    struct outbox *outbox);

/* Aborts if an invariant of DESIGN section 4 does not hold. Slow; for tests and the simulator. */
void core_check(const struct core *core);

/* Appends the persistent state of every open run as text, in the order of the run keys: cores with
 * equal states give equal texts. For tests and the simulator. */
void core_dump(const struct core *core, struct buffer *text);

#endif
