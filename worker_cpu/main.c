/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-worker-cpu: runs workflow tasks and CPU activities of one group of the fleet's config: the
 * shipped ones and those of the group's plug-ins (docs/spec/04-supervision.md; worker/).
 */
#include "workflows/shipped.h"
#include "worker/worker_program.h"

static int open_worker(void *arg, const struct worker_process *process, struct error *err)
{
    (void)err;
    struct shipped_context *context = arg;
    *context = (struct shipped_context){.storage = process->storage, .config = process->config};
    return 0;
}

static int register_types(void *arg, struct argosy_registry *registry, struct error *err)
{
    struct argosy_error why = {0};
    int code = shipped_register(registry, arg, &why);
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
        .open = open_worker,
        .register_types = register_types,
    };
    struct shipped_context context;
    return worker_program_main(&program, &context, argc, argv);
}
