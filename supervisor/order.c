/* SPDX-License-Identifier: Apache-2.0 */
/* order: see order.h. */
#include "supervisor/order.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/log.h"
#include "supervisor/handover.h"
#include "supervisor/kept.h"
#include "supervisor/reload.h"

/* Who is meant */

static bool is_named(const struct process *process, const char *target)
{
    return strcmp(process->name, target) == 0 ||
           (process->group[0] != '\0' && strcmp(process->group, target) == 0);
}

/* Workers; of a restart also the node's own processes, by name. The link brought the order: it
 * would not bring the answer. */
static bool is_target(const struct process *process, const struct link_order *order)
{
    if (process->is_retired)
        return false;
    if (process->rank == PROCESS_RANK_WORKER)
        return order->target[0] == '\0' || is_named(process, order->target);
    return order->operation == LINK_OPERATION_RESTART && is_named(process, order->target);
}

static size_t count_targets(const struct node *node, const struct link_order *order)
{
    size_t count = 0;
    for (size_t i = 0; i < node->roster.count; i++)
        count += is_target(node->roster.processes[i], order);
    return count;
}

/* What is kept */

static bool is_drain_kept_after(const struct process *process, const struct link_order *order)
{
    bool is_drain = order->operation == LINK_OPERATION_DRAIN;
    if (!is_target(process, order) || !(is_drain || order->operation == LINK_OPERATION_UNDRAIN))
        return process->is_drain_kept;
    return is_drain && (process->is_drain_kept || order->keep);
}

/* Writes what is wanted after the order, as far as it outlives this supervisor. */
static int keep(const struct node *node, const struct link_order *order, struct error *err)
{
    struct buffer text = {0};
    for (size_t i = 0; i < node->roster.count; i++) {
        const struct process *process = node->roster.processes[i];
        if (is_drain_kept_after(process, order))
            kept_add_drain(&text, process->name);
    }
    for (size_t i = 0; i < node->source.scale_count; i++) {
        const struct plan_scale *scale = &node->source.scales[i];
        if (scale->is_kept)
            kept_add_scale(&text, scale->group, scale->processes);
    }
    int code = kept_write(node->plan.config->data_dir, &text, err);
    buffer_fini(&text);
    return code;
}

/* Orders to workers */

static int check_target(const struct node *node, const struct link_order *order, struct error *err)
{
    if (count_targets(node, order) > 0)
        return 0;
    if (order->target[0] == '\0')
        return error_set(err, ERR_NOT_FOUND, "this node has no workers");
    return error_set(err, ERR_NOT_FOUND, "no worker or group \"%s\" on this node", order->target);
}

/* Says what is wanted of the workers; the sequence and their deaths do the rest. */
static int drain(struct node *node, const struct link_order *order, struct error *err)
{
    bool is_drain = order->operation == LINK_OPERATION_DRAIN;
    int code = check_target(node, order, err);
    if (code == 0)
        code = keep(node, order, err);
    for (size_t i = 0; code == 0 && i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (!is_target(process, order))
            continue;
        process->is_drain_kept = is_drain_kept_after(process, order);
        process->is_drained = is_drain;
        if (is_drain)
            node_stop(process, false);
        else
            gpu_guard_trust(node, process);
        log_info(is_drain ? "process.drained" : "process.undrained", "name=%s kept=%s",
                 process->name, process->is_drain_kept ? "true" : "false");
    }
    return code;
}

static int restart(struct node *node, const struct link_order *order, struct error *err)
{
    size_t count = 0;
    int code = check_target(node, order, err);
    for (size_t i = 0; code == 0 && i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (!is_target(process, order) || process->is_drained)
            continue;
        process_set_stale(process);
        count++;
    }
    if (code == 0)
        log_info("fleet.restarting", "target=%s processes=%zu",
                 order->target[0] != '\0' ? order->target : "workers", count);
    return code;
}

/* Scale */

static struct plan_scale *find_scale(struct plan_source *source, const char *group)
{
    for (size_t i = 0; i < source->scale_count; i++) {
        if (strcmp(source->scales[i].group, group) == 0)
            return &source->scales[i];
    }
    return NULL;
}

/* The group's count in the source; -1 takes it out. */
static int set_scale(struct plan_source *source, const struct link_order *order, struct error *err)
{
    struct plan_scale *scale = find_scale(source, order->target);
    if (order->count < 0) {
        if (scale != NULL)
            *scale = source->scales[--source->scale_count];
        return 0;
    }
    if (scale == NULL && source->scale_count == FLEET_GROUPS_MAX)
        return error_set(err, ERR_LIMIT, "at most %d groups can be scaled", FLEET_GROUPS_MAX);
    if (scale == NULL)
        scale = &source->scales[source->scale_count++];
    snprintf(scale->group, sizeof scale->group, "%s", order->target);
    scale->processes = order->count;
    scale->is_kept = order->keep;
    return 0;
}

static int scale(struct node *node, const struct link_order *order, struct error *err)
{
    if (order->count > FLEET_PROCESSES_MAX)
        return error_set(err, ERR_INVALID, "%d processes: at most %d in a group", order->count,
                         FLEET_PROCESSES_MAX);
    if (fleet_config_group(node->plan.config, order->target) == NULL)
        return error_set(err, ERR_NOT_FOUND, "no group \"%s\" on this node", order->target);
    struct plan_source before = node->source;
    int code = set_scale(&node->source, order, err);
    if (code == 0)
        code = keep(node, order, err);
    if (code == 0)
        code = reload_scale(node, err);
    if (code != 0) {
        struct error ignored = {0};
        node->source = before;
        keep(node, order, &ignored); /* as it was; what cannot be written now was not before */
        return code;
    }
    const struct fleet_group *group = fleet_config_group(node->plan.config, order->target);
    log_info("group.scaled", "group=%s processes=%d kept=%s", group->name, group->processes,
             order->keep ? "true" : "false");
    return 0;
}

/* Upgrade */

/* The loop does it, when the answer has been sent. Until there is a new link, the node has a stale
 * one: who waits for the upgrade sees it by that. */
static int upgrade(struct node *node, struct error *err)
{
    int code = handover_try(node, err);
    if (code != 0)
        return code;
    node->is_upgrading = true;
    process_set_stale(roster_link(&node->roster));
    return 0;
}

/* All orders */

int order_carry_out(struct node *node, const struct link_order *order,
                    char ret_text[ERROR_TEXT_MAX], struct error *err)
{
    ret_text[0] = '\0';
    if (node->is_stopping)
        return error_set(err, ERR_STATE, "the fleet is ending");
    switch ((enum link_operation)order->operation) {
    case LINK_OPERATION_DRAIN:
    case LINK_OPERATION_UNDRAIN:
        return drain(node, order, err);
    case LINK_OPERATION_RESTART:
        return restart(node, order, err);
    case LINK_OPERATION_SCALE:
        return scale(node, order, err);
    case LINK_OPERATION_RELOAD:
        return reload_config(node, ret_text, err);
    case LINK_OPERATION_UPGRADE:
        return upgrade(node, err);
    }
    return error_set(err, ERR_INVALID, "no operation %u", order->operation);
}

static void answer(struct node *node, int link_fd, const struct link_order *order)
{
    struct error err = {0};
    struct link_answer answer = {.kind = LINK_RECORD_ANSWER, .id = order->id};
    answer.code = order_carry_out(node, order, answer.text, &err);
    if (answer.code != 0)
        snprintf(answer.text, sizeof answer.text, "%s", err.text);
    node_write_status(node); /* who gets the answer finds it in the status */
    /* A link that does not take it is dying, and so is the call. */
    ssize_t sent = send(link_fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
}

void order_take(struct node *node, struct process *link)
{
    if (link->link_fd < 0)
        return;
    char byte;
    bool is_closed = recv(link->link_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    struct link_order order;
    int code = is_closed ? 0 : 1;
    while (code == 1) {
        code = link_channel_receive(&node->channel, link->link_fd, &order);
        if (code == 1)
            answer(node, link->link_fd, &order);
    }
    if (!is_closed && code == 0) {
        link_channel_send(&node->channel, link->link_fd);
        return;
    }
    /* The link is dying, or talks nonsense: it ends when its socket does. */
    if (!is_closed)
        log_error("link.record_malformed", "pid=%d", (int)link->pid);
    close(link->link_fd);
    link->link_fd = -1;
}

void order_reload(struct node *node)
{
    struct link_order order = {.operation = LINK_OPERATION_RELOAD};
    struct error err = {0};
    char text[ERROR_TEXT_MAX], quoted[ERROR_TEXT_MAX];
    if (order_carry_out(node, &order, text, &err) != 0)
        log_error("reload.refused", "error=%s", log_quote(err.text, quoted, sizeof quoted));
}

/* Earlier orders */

static void recall_scales(struct node *node, const struct buffer *text)
{
    const struct fleet_config *config = node->plan.config;
    struct plan_source *source = &node->source;
    for (size_t i = 0; i < config->group_count; i++) {
        int processes = kept_scale(text, config->groups[i].name);
        if (processes < 0)
            continue;
        struct plan_scale *scale = &source->scales[source->scale_count++];
        *scale = (struct plan_scale){.processes = processes, .is_kept = true};
        snprintf(scale->group, sizeof scale->group, "%s", config->groups[i].name);
        log_info("group.scaled", "group=%s processes=%d kept=true", scale->group, processes);
    }
}

static void recall_drains(struct node *node, const struct buffer *text)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (process->rank != PROCESS_RANK_WORKER || !kept_has_drain(text, process->name))
            continue;
        process->is_drained = process->is_drain_kept = true;
        log_info("process.drained", "name=%s kept=true", process->name);
    }
}

int order_recall(struct node *node, struct error *err)
{
    struct buffer text;
    int code = kept_read(node->plan.config->data_dir, &text, err);
    if (code == 0)
        recall_scales(node, &text);
    if (code == 0 && node->source.scale_count > 0)
        code = reload_scale(node, err);
    if (code == 0)
        recall_drains(node, &text);
    buffer_fini(&text);
    return code;
}
