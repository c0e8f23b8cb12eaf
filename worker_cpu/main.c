/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-worker-cpu: runs workflow tasks and CPU activities of one group of the fleet's config: the
 * shipped ones and those of the group's plug-ins (docs/spec/04-supervision.md; worker/).
 */
#include "workflows/shipped.h"
#include "worker/worker_program.h"

static int register_types(void *context, struct argosy_registry *registry, struct error *err)
{
    (void)context;
    struct argosy_error why = {0};
    int code = shipped_register(registry, &why);
    if (code != 0)
        return error_set(err, code, "cannot register the shipped workflows: %s", why.text);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct worker_program program = {
        .name = "worker-cpu",
        .summary = "Runs the workflows and CPU activities of one worker group.",
        .kind = FLEET_GROUP_CPU,
        .loop_is_progress = true,
        .register_types = register_types,
    };
    return worker_program_main(&program, NULL, argc, argv);
}
