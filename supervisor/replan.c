/* SPDX-License-Identifier: Apache-2.0 */
/* replan: see replan.h. */
#include "supervisor/replan.h"

#include "common/log.h"
#include "supervisor/repin.h"

void replan_move(struct node *node)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        struct error err = {0};
        char cpus[128], quoted[ERROR_TEXT_MAX];
        if (!process->is_misplaced)
            continue;
        process->is_misplaced = false;
        if (process->pid == 0)
            continue;
        placement_format_cpus(&process->pin.cpus, cpus, sizeof cpus);
        bool has_moved;
        int code = repin(process->pid, &process->pin, &has_moved, &err);
        if (code == 0 && has_moved) {
            log_info("process.moved", "name=%s pid=%d processors=%s", process->name,
                     (int)process->pid, cpus);
        } else if (code != 0 && code != ERR_NOT_FOUND) { /* it is dying */
            process->pins_refused++;
            log_warn("process.pin_refused", "name=%s pid=%d processors=%s error=%s", process->name,
                     (int)process->pid, cpus, log_quote(err.text, quoted, sizeof quoted));
        }
    }
}

/* Kernels before 6.2 forget the affinity of all that is in a cpuset which changes, so that also
 * those are moved whose place is the same in both plans. */
static void misplace_pinned(struct node *node)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        process->is_misplaced = process->is_misplaced || process->pin.is_pinned;
    }
}

void replan_follow_cpuset(struct node *node)
{
    struct topology *topology = node->plan.topology;
    struct plan plan = {0};
    struct error err = {0};
    cpu_set_t allowed;
    char cpus[128], quoted[ERROR_TEXT_MAX];
    if (node->is_stopping || !topology_has_changed(topology))
        return;
    topology_get_allowed(&allowed);
    log_info("cpuset.changed", "processors=%s", placement_format_cpus(&allowed, cpus, sizeof cpus));
    int code = plan_create_again(&node->source, &node->plan, &plan, &err);
    if (code == 0) {
        misplace_pinned(node);
        code = node_adopt_plan(node, &plan, &err);
    }
    plan_destroy(&plan);
    if (code != 0) {
        log_error("cpuset.not_followed", "error=%s", log_quote(err.text, quoted, sizeof quoted));
        topology->allowed = allowed; /* once for each change */
    }
}
