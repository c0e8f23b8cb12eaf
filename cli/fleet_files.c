/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_files: see fleet_files.h. */
#include "cli/fleet_files.h"

#include <errno.h>
#include <unistd.h>

#include "models/model_store.h"

int fleet_plugins_check(const struct fleet_config *config, struct error *err)
{
    for (size_t i = 0; i < config->group_count; i++) {
        const struct fleet_group *group = &config->groups[i];
        for (size_t j = 0; j < group->plugin_count; j++)
            if (access(group->plugins[j], R_OK) != 0)
                return error_set_errno(err, ERR_CONFIG, errno,
                                       "%s: group \"%s\": cannot read plug-in %s", config->source,
                                       group->name, group->plugins[j]);
    }
    return 0;
}

int fleet_models_check(const struct fleet_config *config, struct error *err)
{
    for (size_t i = 0; i < config->group_count; i++) {
        const struct fleet_group *group = &config->groups[i];
        char path[MODEL_PATH_MAX];
        if (group->kind != FLEET_GROUP_GPU)
            continue;
        int code = model_store_path(config->models_dir, group->model, path, err);
        if (code != 0)
            return code;
        if (access(path, R_OK) != 0)
            return error_set(err, ERR_NOT_FOUND,
                             "model %s of group \"%s\" is not in %s; bring it with: argosy model "
                             "fetch %s --data-dir %s",
                             group->model, group->name, config->models_dir, group->model,
                             config->data_dir);
    }
    return 0;
}
