/* SPDX-License-Identifier: Apache-2.0 */
/* command_table: the tree of commands, in the order in which help lists them. */
#include "cli/command_table.h"

#include "cli/output.h"

static int version(const struct invocation *invocation, struct error *err)
{
    if (invocation->json)
        return output_json(json_pack("{s:s}", "version", ARGOSY_VERSION), err);
    puts("argosy " ARGOSY_VERSION);
    return 0;
}

static const struct command command_workflow = {
    .name = "workflow",
    .summary = "start workflows, wait for them, look into them",
    .arguments = "",
    .example = "argosy workflow execute --type PrepareAndInferWorkflow --input '\"Hello world\"'",
};

static const struct command command_factory = {
    .name = "factory",
    .summary = "workflows that are started by a name of the config",
    .arguments = "",
    .example = "argosy factory list",
};

static const struct command command_task_queue = {
    .name = "task-queue",
    .summary = "queues between workflows and workers",
    .arguments = "",
    .example = "argosy task-queue describe gpu-queue",
};

static const struct command command_fleet = {
    .name = "fleet",
    .summary = "nodes, groups and workers: look, bound, pause, drain",
    .arguments = "",
    .example = "argosy fleet status",
};

static const struct command command_collection = {
    .name = "collection",
    .summary = "collections of vectors, which searches are made in",
    .arguments = "",
    .example = "argosy collection list",
};

static const struct command command_model = {
    .name = "model",
    .summary = "model files on this machine, and models registered in storage",
    .arguments = "",
    .example = "argosy model fetch all-MiniLM-L6-v2",
};

static const struct command command_artifact = {
    .name = "artifact",
    .summary = "files that workflows make and pass on, kept in storage",
    .arguments = "",
    .example = "argosy artifact list",
};

static const struct command command_key = {
    .name = "key",
    .summary = "keys: of tcp connections, and to encrypt payloads",
    .arguments = "",
    .example = "argosy key create engine.key",
};

static const struct command command_config = {
    .name = "config",
    .summary = "the fleet's config file",
    .arguments = "",
    .example = "argosy config check fleet.yaml",
};

static const struct command command_version = {
    .name = "version",
    .summary = "the program's version",
    .arguments = "",
    .example = "argosy version",
    .options = {{common_options}},
    .run = version,
};

const struct command *const command_table[] = {
    &command_dev,
    &command_up,
    &command_demo,
    &command_workflow,
    &command_workflow_start,
    &command_workflow_execute,
    &command_workflow_result,
    &command_workflow_describe,
    &command_workflow_show,
    &command_workflow_replay,
    &command_workflow_list,
    &command_workflow_count,
    &command_workflow_signal,
    &command_workflow_query,
    &command_workflow_cancel,
    &command_workflow_terminate,
    &command_factory_run,
    &command_factory_start,
    &command_factory,
    &command_factory_list,
    &command_factory_show,
    &command_embed,
    &command_finetune,
    &command_ingest,
    &command_search,
    &command_collection,
    &command_collection_list,
    &command_collection_show,
    &command_collection_delete,
    &command_eval,
    &command_task_queue,
    &command_task_queue_describe,
    &command_fleet,
    &command_fleet_status,
    &command_fleet_set_concurrency,
    &command_fleet_pause,
    &command_fleet_resume,
    &command_fleet_drain,
    &command_fleet_undrain,
    &command_fleet_restart,
    &command_fleet_reload,
    &command_fleet_upgrade,
    &command_fleet_scale,
    &command_fleet_report,
    &command_top,
    &command_topo,
    &command_model,
    &command_model_fetch,
    &command_model_synth,
    &command_model_list,
    &command_model_verify,
    &command_model_unregister,
    &command_artifact,
    &command_artifact_put,
    &command_artifact_get,
    &command_artifact_list,
    &command_artifact_release,
    &command_artifact_verify,
    &command_artifact_gc,
    &command_key,
    &command_key_create,
    &command_config,
    &command_config_check,
    &command_config_show,
    &command_version,
    NULL,
};
