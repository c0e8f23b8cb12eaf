/* SPDX-License-Identifier: Apache-2.0 */
/* command_model_unregister: `argosy model unregister`. */
#include <inttypes.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "storage/model_reference.h"
#include "storage/model_registry.h"

static int model_unregister_run(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the model is missing");
    struct model_reference reference;
    int code = model_reference_parse(invocation->parsed.arguments[0], &reference, err);
    if (code == 0 && reference.version == 0)
        return command_usage(invocation, "which version? name it: %s@VERSION", reference.name);
    struct storage_session session;
    if (code == 0)
        code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = model_unregister(session.client, reference.name, reference.version, err);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:I}", "name", reference.name, "version",
                                     (json_int_t)reference.version),
                           err);
    else if (code == 0)
        printf("%s@%" PRIu32 " is not registered any more\n", reference.name, reference.version);
    storage_session_close(&session);
    return code;
}

const struct command command_model_unregister = {
    .name = "model unregister",
    .summary = "remove a version of a registered model",
    .arguments = "NAME@VERSION",
    .arguments_max = 1,
    .about = "Its files may then be collected (argosy artifact gc). The number is not given again.",
    .example = "argosy model unregister tickets@3",
    .options = {{session_options, common_options}},
    .run = model_unregister_run,
};
