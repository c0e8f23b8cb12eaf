/* SPDX-License-Identifier: Apache-2.0 */
/* reload: see reload.h. */
#include "supervisor/reload.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet_change.h"
#include "common/log.h"

static enum fleet_effect find_effect(const struct fleet_change *change,
                                     const struct process *process)
{
    switch (process->rank) {
    case PROCESS_RANK_ENGINE:
        return change->engine;
    case PROCESS_RANK_STORAGE:
        return change->storage;
    case PROCESS_RANK_LINK:
        return change->link;
    case PROCESS_RANK_GPU_HEALTH: /* gpu_guard knows what its settings were */
        return FLEET_EFFECT_SAME;
    case PROCESS_RANK_WORKER:
        break;
    }
    for (size_t i = 0; i < change->group_count; i++) {
        if (strcmp(change->groups[i].name, process->group) == 0)
            return change->groups[i].effect;
    }
    return FLEET_EFFECT_SAME;
}

static void apply_effect(struct process *process, enum fleet_effect effect)
{
    if (process->is_retired)
        return;
    if (effect == FLEET_EFFECT_RESTART)
        process_set_stale(process);
    else if (effect == FLEET_EFFECT_LIVE)
        process_hang_up(process);
}

/* Puts the plan into force, for children that start from now on, too. Takes it on success;
 * otherwise the old one is in force as it was. */
static int put_into_force(struct node *node, struct plan *plan, struct error *err)
{
    char path[PATH_MAX];
    int code = plan_write_effective(plan, path, err);
    if (code != 0)
        return code;
    code = node_adopt_plan(node, plan, err);
    struct error again = {0};
    if (code != 0 && plan_write_effective(&node->plan, path, &again) != 0)
        log_error("config.not_restored", "error=\"%s\"", again.text);
    return code;
}

/* The same, and tells those who run what of the change is theirs. */
static int adopt(struct node *node, struct plan *plan, const struct fleet_change *change,
                 struct error *err)
{
    /* A change borrows from both configurations, and the old one goes. */
    size_t count = node->roster.count;
    struct process **processes = calloc(count + 1, sizeof(struct process *));
    enum fleet_effect *effects = calloc(count + 1, sizeof *effects);
    int code = processes != NULL && effects != NULL
                   ? 0
                   : error_set(err, ERR_MEMORY, "no memory for a new plan");
    for (size_t i = 0; code == 0 && i < count; i++) {
        processes[i] = node->roster.processes[i];
        effects[i] = find_effect(change, processes[i]);
    }
    if (code == 0)
        code = put_into_force(node, plan, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        apply_effect(processes[i], effects[i]);
    free(processes);
    free(effects);
    return code;
}

/* The keys on one line: "groups[cpu].grace_ms: 10000 -> 500; ..." */
static void describe(const struct fleet_change *change, char ret_text[ERROR_TEXT_MAX])
{
    static const char more[] = " ...";
    const size_t room = ERROR_TEXT_MAX - sizeof more;
    size_t length = 0;
    if (change->key_count == 0) {
        strcpy(ret_text, "nothing changed");
        return;
    }
    /* Without the last line's end. */
    for (size_t i = 0; i + 1 < change->text.size && length + 2 < room; i++) {
        char byte = (char)change->text.data[i];
        ret_text[length++] = byte == '\n' ? ';' : byte;
        if (byte == '\n')
            ret_text[length++] = ' ';
    }
    ret_text[length] = '\0';
    if (length + 2 >= room)
        strcpy(ret_text + length, more);
}

int reload_config(struct node *node, char ret_text[ERROR_TEXT_MAX], struct error *err)
{
    struct plan plan;
    struct fleet_change change;
    int code = plan_create(&node->source, &node->plan, &plan, err);
    if (code != 0)
        return code;
    code = fleet_change_compare(node->plan.config, plan.config, &change, err);
    if (code == 0) {
        code = adopt(node, &plan, &change, err);
        if (code == 0)
            describe(&change, ret_text);
        fleet_change_fini(&change);
    }
    plan_destroy(&plan);
    if (code != 0)
        return code;
    char quoted[ERROR_TEXT_MAX];
    const struct fleet_config *config = node->plan.config;
    log_open("supervisor", config->log_level, config->log_format);
    log_info("config.reloaded", "changes=%s", log_quote(ret_text, quoted, sizeof quoted));
    return 0;
}

int reload_scale(struct node *node, struct error *err)
{
    struct plan plan;
    int code = plan_create_again(&node->source, &node->plan, &plan, err);
    if (code != 0)
        return code;
    code = put_into_force(node, &plan, err);
    plan_destroy(&plan);
    return code;
}
