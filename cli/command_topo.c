/* SPDX-License-Identifier: Apache-2.0 */
/* command_topo: `argosy topo`. */
#include "cli/command_table.h"
#include "cli/fleet_plan.h"

static const struct option topo_options[] = {
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the node's config (this machine's defaults)", NULL},
    {0},
};

static int topo(const struct invocation *invocation, struct error *err)
{
    return fleet_plan_run(invocation, parsed_text(&invocation->parsed, "config"), err);
}

const struct command command_topo = {
    .name = "topo",
    .summary = "this machine, and which process would run on which cores",
    .arguments = "",
    .about = "Says \"shared\" where processes must run on the same cores, and \"far from its GPU\" "
             "of a\n"
             "GPU worker none of whose cores is local to its GPU.",
    .example = "argosy topo --svg plan.svg\n"
               "argosy topo --config fleet.yaml --xml machine.xml\n"
               "argosy topo --config fleet.yaml --synthetic \"pack:2 numa:1 core:16 pu:2\"",
    .options = {{topo_options, fleet_plan_options, common_options}},
    .run = topo,
};
