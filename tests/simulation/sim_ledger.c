/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_ledger: what clients and workers were told, kept apart from the engine, and held against it:
 * nothing acknowledged is lost, and nothing whose completion was acknowledged is handed out again.
 */
#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "engine/run.h"
#include "tests/simulation/sim.h"

struct entry {
    char *key; /* "run/activity", "run/request" or "run" */
    bool completed;
    int dispatches;
    const char *workflow_id;
    UT_hash_handle hh;
};

struct sim_ledger {
    struct entry *activities, *signals, *starts;
};

void sim_ledger_create(struct sim *sim)
{
    sim->ledger = sim_alloc(sim, sizeof *sim->ledger);
}

static struct entry *get(struct sim *sim, struct entry **table, const char *run_id, const char *id)
{
    char *key = sim_text(sim, "%s/%s", run_id, id);
    struct entry *entry;
    HASH_FIND_STR(*table, key, entry);
    if (entry == NULL) {
        entry = sim_alloc(sim, sizeof *entry);
        entry->key = key;
        HASH_ADD_KEYPTR(hh, *table, entry->key, strlen(entry->key), entry);
    }
    return entry;
}

void sim_ledger_dispatched(struct sim *sim, const char *run_id, const char *activity_id)
{
    struct entry *entry = get(sim, &sim->ledger->activities, run_id, activity_id);
    SIM_CHECK(sim, !entry->completed, "activity %s is handed out after its completion counted",
              entry->key);
    entry->dispatches++;
    /* Activities named "m..." have maximum_attempts 1: at most once. */
    SIM_CHECK(sim, activity_id[0] != 'm' || entry->dispatches == 1,
              "activity %s ran %d times, and may once", entry->key, entry->dispatches);
}

void sim_ledger_completed(struct sim *sim, const char *run_id, const char *activity_id)
{
    struct entry *entry = get(sim, &sim->ledger->activities, run_id, activity_id);
    entry->completed = true;
}

void sim_ledger_started(struct sim *sim, const char *workflow_id, const char *run_id)
{
    struct entry *entry = get(sim, &sim->ledger->starts, run_id, "");
    SIM_CHECK(sim, entry->workflow_id == NULL || strcmp(entry->workflow_id, workflow_id) == 0,
              "run %s has two workflow ids", run_id);
    entry->workflow_id = workflow_id;
}

void sim_ledger_signaled(struct sim *sim, const char *run_id, const char *request_id)
{
    get(sim, &sim->ledger->signals, run_id, request_id)->completed = true;
}

/* --- the end
 * ----------------------------------------------------------------------------------------- */

static void check_run(struct sim *sim, const struct sim_log *log)
{
    struct run *run = run_create(log->run.run_key, log->run.workflow_id, log->run.run_id);
    struct error err = {0};
    SIM_CHECK(sim, run_load(run, log->blobs, log->count, &err) == 0, "final log: %s", err.text);
    SIM_CHECK(sim, !run_is_open(run) && log->closed, "run %s is still open", run->run_id);
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        struct entry *entry;
        if (event->event_type == EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) {
            entry = get(sim, &sim->ledger->signals, run->run_id,
                        event->workflow_execution_signaled_event_attributes->request_id);
            entry->dispatches++;
            SIM_CHECK(sim, entry->dispatches == 1, "signal %s stands twice in the history",
                      entry->key);
        }
        if (event->event_type == EVENT_TYPE_ACTIVITY_TASK_COMPLETED) {
            int64_t id = event->activity_task_completed_event_attributes->scheduled_event_id;
            const char *activity_id =
                run->history.entries[id - 1]
                    .event->activity_task_scheduled_event_attributes->activity_id;
            get(sim, &sim->ledger->activities, run->run_id, activity_id)->workflow_id =
                "in history";
        }
    }
    get(sim, &sim->ledger->starts, run->run_id, "")->completed = true;
    run_destroy(run);
}

void sim_ledger_check(struct sim *sim)
{
    for (size_t i = 0; i < sim->log_count; i++) {
        check_run(sim, &sim->logs[i]);
        for (size_t j = 0; j < i; j++)
            SIM_CHECK(sim, strcmp(sim->logs[i].run.workflow_id, sim->logs[j].run.workflow_id) != 0,
                      "workflow %s was started twice by one request", sim->logs[i].run.workflow_id);
    }
    struct entry *entry;
    for (entry = sim->ledger->starts; entry != NULL; entry = entry->hh.next)
        SIM_CHECK(sim, entry->completed, "acknowledged run %s is not in the log", entry->key);
    for (entry = sim->ledger->signals; entry != NULL; entry = entry->hh.next)
        SIM_CHECK(sim, !entry->completed || entry->dispatches == 1,
                  "acknowledged signal %s is not in the history", entry->key);
    for (entry = sim->ledger->activities; entry != NULL; entry = entry->hh.next)
        SIM_CHECK(sim, !entry->completed || entry->workflow_id != NULL,
                  "acknowledged completion of %s is not in the history", entry->key);
    HASH_CLEAR(hh, sim->ledger->starts);
    HASH_CLEAR(hh, sim->ledger->signals);
    HASH_CLEAR(hh, sim->ledger->activities);
}
