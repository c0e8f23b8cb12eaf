/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_client: starts workflows, signals, queries and sometimes cancels or terminates them, and
 * waits for their ends.
 */
#include <string.h>

#include "tests/simulation/sim.h"

struct flow {
    struct sim_client *client;
    char *workflow_id;
    char *run_id;
    Api__WorkflowExecution *execution;
};

struct sim_client {
    struct sim_actor actor;
    struct flow *flows;
    int flow_count, done_count;
};

bool sim_client_is_done(const struct sim *sim)
{
    return sim->client->done_count == sim->client->flow_count;
}

/* --- waiting for the end
 * ------------------------------------------------------------------------------- */

static sim_answer history_answered;

static void wait_for_end(struct sim *sim, struct flow *flow)
{
    Api__GetWorkflowExecutionHistoryRequest *request =
        sim_message(sim, &api__get_workflow_execution_history_request__descriptor);
    request->namespace_ = "default";
    request->execution = flow->execution;
    request->has_wait_new_event = request->wait_new_event = true;
    request->has_history_event_filter_type = true;
    request->history_event_filter_type = HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    sim_call(sim, &flow->client->actor, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, request, true,
             history_answered, flow);
}

static void history_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                             const ProtobufCMessage *body)
{
    (void)actor;
    struct flow *flow = context;
    SIM_CHECK(sim, status == 0, "history of acknowledged run %s: %s", flow->run_id,
              ((const Api__ErrorReply *)body)->message);
    const Api__GetWorkflowExecutionHistoryResponse *response =
        (const Api__GetWorkflowExecutionHistoryResponse *)body;
    if (response->history->n_events == 0) {
        wait_for_end(sim, flow);
        return;
    }
    SIM_CHECK(sim, response->history->n_events == 1, "more than the closing event");
    flow->client->done_count++;
}

/* --- while it runs
 * ------------------------------------------------------------------------------------- */

static void signal_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                            const ProtobufCMessage *body)
{
    (void)actor, (void)body;
    const Api__SignalWorkflowExecutionRequest *request = context;
    SIM_CHECK(sim, status == 0 || status == 5, "signal: status %d", status);
    if (status == 0)
        sim_ledger_signaled(sim, request->workflow_execution->run_id, request->request_id);
}

static void signal_flow(struct sim *sim, void *arg, uint64_t number)
{
    struct flow *flow = arg;
    Api__SignalWorkflowExecutionRequest *request =
        sim_message(sim, &api__signal_workflow_execution_request__descriptor);
    request->namespace_ = "default";
    request->workflow_execution = flow->execution;
    request->signal_name = "knock";
    request->request_id = sim_text(sim, "signal-%s-%d", flow->workflow_id, (int)number);
    request->input = sim_payloads(sim, "1");
    sim_call(sim, &flow->client->actor, METHOD_SIGNAL_WORKFLOW_EXECUTION, request, true,
             signal_answered, request);
}

static void may_be_gone(struct sim *sim, struct sim_actor *actor, void *context, int status,
                        const ProtobufCMessage *body)
{
    (void)actor, (void)context, (void)body;
    SIM_CHECK(sim, status == 0 || status == 5, "request to a run: status %d", status);
}

static void query_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                           const ProtobufCMessage *body)
{
    (void)actor, (void)context, (void)body;
    /* Deadline: no worker was there in time. */
    SIM_CHECK(sim, status == 0 || status == 4, "query: status %d", status);
}

static void query_flow(struct sim *sim, void *arg, uint64_t number)
{
    (void)number;
    struct flow *flow = arg;
    Api__QueryWorkflowRequest *request = sim_message(sim, &api__query_workflow_request__descriptor);
    request->namespace_ = "default";
    request->execution = flow->execution;
    request->query = sim_message(sim, &api__workflow_query__descriptor);
    request->query->query_type = "step";
    sim_call(sim, &flow->client->actor, METHOD_QUERY_WORKFLOW, request, true, query_answered, NULL);
}

static void cancel_flow(struct sim *sim, void *arg, uint64_t number)
{
    (void)number;
    struct flow *flow = arg;
    Api__RequestCancelWorkflowExecutionRequest *request =
        sim_message(sim, &api__request_cancel_workflow_execution_request__descriptor);
    request->namespace_ = "default";
    request->workflow_execution = flow->execution;
    request->request_id = sim_text(sim, "cancel-%s", flow->workflow_id);
    sim_call(sim, &flow->client->actor, METHOD_REQUEST_CANCEL_WORKFLOW_EXECUTION, request, true,
             may_be_gone, NULL);
}

static void terminate_flow(struct sim *sim, void *arg, uint64_t number)
{
    (void)number;
    struct flow *flow = arg;
    Api__TerminateWorkflowExecutionRequest *request =
        sim_message(sim, &api__terminate_workflow_execution_request__descriptor);
    request->namespace_ = "default";
    request->workflow_execution = flow->execution;
    request->reason = "enough";
    sim_call(sim, &flow->client->actor, METHOD_TERMINATE_WORKFLOW_EXECUTION, request, true,
             may_be_gone, NULL);
}

/* --- starting
 * ------------------------------------------------------------------------------------------ */

static void start_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                           const ProtobufCMessage *body)
{
    (void)actor;
    struct flow *flow = context;
    SIM_CHECK(sim, status == 0, "start of %s: %s", flow->workflow_id,
              ((const Api__ErrorReply *)body)->message);
    const Api__StartWorkflowExecutionResponse *response =
        (const Api__StartWorkflowExecutionResponse *)body;
    flow->run_id = sim_text(sim, "%s", response->run_id);
    flow->execution->run_id = flow->run_id;
    sim_ledger_started(sim, flow->workflow_id, flow->run_id);
    wait_for_end(sim, flow);
    for (int i = 0; i < sim->options.signals; i++)
        sim_at(sim, sim_between(sim, 0, 10 * SIM_S), signal_flow, flow, (uint64_t)i);
    if (sim_chance(sim, 500))
        sim_at(sim, sim_between(sim, 0, 5 * SIM_S), query_flow, flow, 0);
    if (sim_chance(sim, 100))
        sim_at(sim, sim_between(sim, 0, 5 * SIM_S), cancel_flow, flow, 0);
    if (sim_chance(sim, 50))
        sim_at(sim, sim_between(sim, 0, 5 * SIM_S), terminate_flow, flow, 0);
}

/* A plan is a word; each letter a step of the workflow: sim_worker.c. */
static const char *make_plan(struct sim *sim)
{
    static const char letters[] = "aatpcfm";
    char plan[8] = {0};
    int length = (int)sim_between(sim, 1, 5);
    for (int i = 0; i < length; i++)
        plan[i] = letters[sim_random(sim, sizeof letters - 1)];
    return sim_text(sim, "%s", plan);
}

static void start_flow(struct sim *sim, void *arg, uint64_t number)
{
    (void)number;
    struct flow *flow = arg;
    Api__StartWorkflowExecutionRequest *request =
        sim_message(sim, &api__start_workflow_execution_request__descriptor);
    request->namespace_ = "default";
    request->workflow_id = flow->workflow_id;
    request->request_id = sim_text(sim, "start-%s", flow->workflow_id);
    request->workflow_type = sim_message(sim, &api__workflow_type__descriptor);
    request->workflow_type->name = "Plan";
    request->task_queue = sim_message(sim, &api__task_queue__descriptor);
    request->task_queue->name = "wq";
    request->input = sim_payloads(sim, make_plan(sim));
    sim_call(sim, &flow->client->actor, METHOD_START_WORKFLOW_EXECUTION, request, true,
             start_answered, flow);
}

static void connected(struct sim *sim, struct sim_actor *actor)
{
    (void)sim, (void)actor;
}

void sim_client_create(struct sim *sim)
{
    struct sim_client *client = sim_alloc(sim, sizeof *client);
    sim->client = client;
    client->actor.name = "client";
    client->actor.connected = connected;
    client->actor.incarnation = 1;
    sim_actor_add(sim, &client->actor);
    client->flow_count = sim->options.workflows;
    client->flows = sim_alloc(sim, (size_t)client->flow_count * sizeof *client->flows);
    for (int i = 0; i < client->flow_count; i++) {
        struct flow *flow = &client->flows[i];
        flow->client = client;
        flow->workflow_id = sim_text(sim, "flow-%d", i);
        flow->execution = sim_message(sim, &api__workflow_execution__descriptor);
        flow->execution->workflow_id = flow->workflow_id;
        sim_at(sim, sim_between(sim, 0, 5 * SIM_S), start_flow, flow, 0);
    }
    sim_connect(sim, &client->actor, 0);
}
