/* SPDX-License-Identifier: Apache-2.0 */
/* workflow_options: see workflow_options.h. */
#include "cli/workflow_options.h"

const struct option run_options[] = {
    {"workflow-id", "id", 'w', OPTION_TEXT, "ID", "the workflow's id; also as the argument", NULL},
    {"run-id", NULL, 'r', OPTION_TEXT, "ID", "one of its runs (the latest)", NULL},
    {0},
};

int run_options_read(const struct invocation *invocation, const char **ret_workflow_id,
                     const char **ret_run_id)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *option = parsed_text(parsed, "workflow-id");
    const char *argument = parsed->argument_count > 0 ? parsed->arguments[0] : NULL;
    if (option == NULL && argument == NULL)
        return command_usage(invocation, "--workflow-id is missing");
    if (option != NULL && argument != NULL)
        return command_usage(invocation, "two workflow ids: \"%s\" and \"%s\"", option, argument);
    *ret_workflow_id = option != NULL ? option : argument;
    *ret_run_id = parsed_text(parsed, "run-id");
    return 0;
}

struct argosy_payloads inputs_as_payloads(const struct inputs *inputs,
                                          struct argosy_payload items[INPUTS_MAX])
{
    for (size_t i = 0; i < inputs->count; i++)
        items[i] = (struct argosy_payload){.encoding = ARGOSY_ENCODING_JSON,
                                           .data = inputs->documents[i].data,
                                           .size = inputs->documents[i].size};
    return (struct argosy_payloads){items, inputs->count};
}
