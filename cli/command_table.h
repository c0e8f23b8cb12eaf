/* SPDX-License-Identifier: Apache-2.0 */
/* command_table: every command's row, each defined in the command_*.c file of its name. */
#ifndef ARGOSY_CLI_COMMAND_TABLE_H
#define ARGOSY_CLI_COMMAND_TABLE_H

#include "cli/command.h"

extern const struct command command_dev;
extern const struct command command_up;
extern const struct command command_top;
extern const struct command command_topo;
/* `argosy fleet ...` */
extern const struct command command_fleet_status;
extern const struct command command_fleet_set_concurrency;
extern const struct command command_fleet_pause;
extern const struct command command_fleet_resume;
extern const struct command command_fleet_drain;
extern const struct command command_fleet_undrain;
extern const struct command command_fleet_restart;
extern const struct command command_fleet_reload;
extern const struct command command_fleet_upgrade;
extern const struct command command_fleet_scale;
extern const struct command command_fleet_report;
extern const struct command command_demo;
extern const struct command command_workflow_start;
extern const struct command command_workflow_execute;
extern const struct command command_workflow_result;
extern const struct command command_workflow_describe;
extern const struct command command_workflow_show;
extern const struct command command_workflow_replay;
extern const struct command command_workflow_list;
extern const struct command command_workflow_count;
extern const struct command command_workflow_signal;
extern const struct command command_workflow_query;
extern const struct command command_workflow_cancel;
extern const struct command command_workflow_terminate;
/* `argosy run` and `argosy start` */
extern const struct command command_factory_run;
extern const struct command command_factory_start;
extern const struct command command_factory_list;
extern const struct command command_factory_show;
extern const struct command command_embed;
extern const struct command command_finetune;
extern const struct command command_ingest;
extern const struct command command_search;
extern const struct command command_eval;
extern const struct command command_task_queue_describe;
extern const struct command command_collection_list;
extern const struct command command_collection_show;
extern const struct command command_collection_delete;
extern const struct command command_model_fetch;
extern const struct command command_model_synth;
extern const struct command command_model_list;
extern const struct command command_model_verify;
extern const struct command command_model_unregister;
extern const struct command command_artifact_put;
extern const struct command command_artifact_get;
extern const struct command command_artifact_list;
extern const struct command command_artifact_release;
extern const struct command command_artifact_verify;
extern const struct command command_artifact_gc;
extern const struct command command_key_create;
extern const struct command command_config_check;
extern const struct command command_config_show;

#endif
