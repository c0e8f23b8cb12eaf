/* SPDX-License-Identifier: Apache-2.0 */
/* owner_oracle: see owner_oracle.h. */
#include "storage/artifacts/owner_oracle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/messages.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/time_unit.h"
#include "queues/connection.h"
#include "storage/registry/model_catalog.h"
#include "storage/model_reference.h"

/* The one namespace that the engine has. */
#define NAMESPACE "default"

struct owner_oracle {
    const struct fleet_config *config;
    struct catalog *catalog;
    pthread_mutex_t mutex;
    struct connection *engine;
    uint64_t silent_until_ns; /* the engine did not answer: not asked before */
};

int owner_oracle_create(const struct fleet_config *config, struct catalog *catalog,
                        struct owner_oracle **ret_oracle, struct error *err)
{
    struct owner_oracle *oracle = calloc(1, sizeof *oracle);
    if (oracle == NULL)
        return error_set(err, ERR_MEMORY, "no memory to ask for owners");
    oracle->config = config;
    oracle->catalog = catalog;
    pthread_mutex_init(&oracle->mutex, NULL);
    *ret_oracle = oracle;
    return 0;
}

void owner_oracle_destroy(struct owner_oracle *oracle)
{
    if (oracle == NULL)
        return;
    connection_close(oracle->engine);
    pthread_mutex_destroy(&oracle->mutex);
    free(oracle);
}

/* ---- workflows; with the mutex ---- */

static int connect_engine(struct owner_oracle *oracle, struct error *err)
{
    struct fleet_endpoint endpoint;
    int code = fleet_config_endpoint(oracle->config, &endpoint, err);
    if (code != 0)
        return code;
    const struct connection_config config = {
        .address = endpoint.address,
        .server_key_file = endpoint.server_public_key_file,
        .client_key_file = endpoint.client_key_file,
        .own_thread = true,
        .node = oracle->config->node,
    };
    return connection_open(&config, &oracle->engine, err);
}

static enum owner_state state_of(const Api__DescribeWorkflowExecutionResponse *response)
{
    const Api__WorkflowExecutionInfo *info = response->workflow_execution_info;
    bool is_open = info != NULL && info->status == WORKFLOW_EXECUTION_STATUS_RUNNING;
    return is_open ? OWNER_THERE : OWNER_GONE;
}

static enum owner_state describe_workflow(struct owner_oracle *oracle, const char *workflow_id)
{
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    Api__DescribeWorkflowExecutionRequest request = API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    execution.workflow_id = workflow_id;
    request.namespace_ = NAMESPACE;
    request.execution = &execution;
    struct arena arena;
    ProtobufCMessage *response;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    int code = connection_call(oracle->engine, METHOD_DESCRIBE_WORKFLOW_EXECUTION, &request.base,
                               OWNER_ASK_MS, &arena, &response, NULL, NULL);
    enum owner_state state = OWNER_UNKNOWN;
    if (code == 0)
        state = state_of((const Api__DescribeWorkflowExecutionResponse *)response);
    else if (code == ERR_NOT_FOUND)
        state = OWNER_GONE;
    arena_fini(&arena);
    return state;
}

static enum owner_state ask_workflow(struct owner_oracle *oracle, const char *workflow_id)
{
    pthread_mutex_lock(&oracle->mutex);
    enum owner_state state = OWNER_UNKNOWN;
    if (clock_monotonic_ns() >= oracle->silent_until_ns &&
        (oracle->engine != NULL || connect_engine(oracle, NULL) == 0)) {
        state = describe_workflow(oracle, workflow_id);
        if (state == OWNER_UNKNOWN)
            oracle->silent_until_ns = clock_monotonic_ns() + OWNER_ASK_MS * NS_PER_MS;
    }
    pthread_mutex_unlock(&oracle->mutex);
    return state;
}

/* ---- models ---- */

static enum owner_state ask_model(struct owner_oracle *oracle, const char *name)
{
    struct model_reference reference;
    struct registered_model model;
    struct arena arena;
    /* An owner that names no model's version owns nothing. */
    if (model_reference_parse(name, &reference, NULL) != 0 || reference.version == 0)
        return OWNER_GONE;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    int code =
        model_catalog_get(oracle->catalog, reference.name, reference.version, &arena, &model, NULL);
    arena_fini(&arena);
    if (code == 0)
        return OWNER_THERE;
    return code == ERR_NOT_FOUND ? OWNER_GONE : OWNER_UNKNOWN;
}

enum owner_state owner_oracle_ask(struct owner_oracle *oracle, const char *owner)
{
    if (strncmp(owner, "workflow:", 9) == 0)
        return ask_workflow(oracle, owner + 9);
    if (strncmp(owner, "model:", 6) == 0)
        return ask_model(oracle, owner + 6);
    return strncmp(owner, "pin:", 4) == 0 ? OWNER_THERE : OWNER_UNKNOWN;
}
