/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_guard: see gpu_guard.h. */
#include "supervisor/gpu/gpu_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/gpu_name.h"
#include "common/log.h"
#include "supervisor/node.h"

/* So many records are taken in a turn of the loop: a helper gone mad does not hold it up. */
#define RECORDS_PER_TURN 256
/* Events of a unit are logged at most this often; the metrics count them all. */
#define EVENT_LOG_NS NS_PER_S
/* It waits in NVML for at most a second. */
#define HELPER_GRACE_NS (2 * NS_PER_S)

/* Units */

static int find_slice(const struct gpu_board *board, const char *uuid)
{
    for (size_t i = 0; i < board->count; i++) {
        if (strcmp(board->units[i].identity.uuid, uuid) == 0)
            return (int)i;
    }
    return -1;
}

/* The unit that a process runs on; -1 when it has no GPU. */
static int unit_of(const struct gpu_board *board, const struct placement_pin *pin)
{
    return gpu_name_is_slice(pin->device) ? find_slice(board, pin->device) : pin->gpu;
}

static bool has_unit(const struct node *node, const struct process *process, uint64_t units)
{
    if (process->rank != PROCESS_RANK_WORKER || process->is_retired)
        return false;
    int unit = unit_of(&node->gpus.board, &process->pin);
    return unit >= 0 && (units >> unit & 1) != 0;
}

static const char *key_of(const struct node *node, size_t unit, char out[GPU_KEY_MAX])
{
    return gpu_unit_key(&node->gpus.board.units[unit], out);
}

/* Plans */

/* Adds what the plan knows of a GPU, or of a slice, with what was known of it before. */
static void add_unit(struct gpu_board *board, const struct hardware_gpu *gpu,
                     const struct gpu_board *before)
{
    if (board->count == HARDWARE_GPU_MAX)
        return; /* slices that are named beyond are not watched */
    struct gpu_unit *unit = &board->units[board->count++];
    gpu_unit_init(unit, gpu, clock_monotonic_ns());
    for (size_t i = 0; i < before->count; i++) {
        if (gpu_identity_is_same(&unit->identity, &before->units[i].identity)) {
            *unit = before->units[i];
            return;
        }
    }
}

static void fill_board(struct gpu_board *board, const struct plan *plan,
                       const struct gpu_board *before)
{
    for (int i = 0; i < plan->topology->gpu_count; i++)
        add_unit(board, &plan->topology->gpus[i].gpu, before);
    for (size_t i = 0; i < plan->placement.pin_count; i++) {
        const char *device = plan->placement.pins[i].device;
        if (!gpu_name_is_slice(device) || find_slice(board, device) >= 0)
            continue;
        struct hardware_gpu slice = {.minor = -1, .ordinal = -1};
        snprintf(slice.uuid, sizeof slice.uuid, "%s", device);
        add_unit(board, &slice, before);
    }
}

/* A helper that was started with other settings is started anew. */
static void plan_helper(struct node *node, const struct fleet_gpu_health *config)
{
    struct gpu_guard *guard = &node->gpus;
    bool is_changed =
        strcmp(guard->library, config->library) != 0 || guard->interval_ms != config->interval_ms;
    snprintf(guard->library, sizeof guard->library, "%s", config->library);
    guard->interval_ms = config->interval_ms;
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (process->rank != PROCESS_RANK_GPU_HEALTH)
            continue;
        lifecycle_set_times(&process->lifecycle, HELPER_GRACE_NS,
                            (uint64_t)config->hang_ms * NS_PER_MS);
        bool was_started = process->pid != 0 || process->lifecycle.state == LIFECYCLE_FAILED;
        process->is_stale = process->is_stale || (is_changed && was_started);
    }
}

void gpu_guard_plan(struct node *node)
{
    const struct fleet_gpu_health *config = &node->plan.config->supervisor.gpu_health;
    const struct gpu_board before = node->gpus.board;
    node->gpus.board = (struct gpu_board){.count = 0};
    gpu_rules_init(&node->gpus.board.rules, config);
    fill_board(&node->gpus.board, &node->plan, &before);
    plan_helper(node, config);
}

/* Marks */

int gpu_guard_recall(struct node *node, struct error *err)
{
    struct gpu_guard *guard = &node->gpus;
    uint64_t marked;
    gpu_marks_boot(guard->boot);
    int code = gpu_marks_read(node->plan.config->data_dir, guard->boot, &guard->board,
                              clock_monotonic_ns(), &marked, err);
    for (size_t i = 0; code == 0 && i < guard->board.count; i++) {
        char key[GPU_KEY_MAX], quoted[2 * GPU_REASON_MAX];
        if ((marked >> i & 1) != 0)
            log_warn("gpu.bad", "gpu=%zu uuid=%s reason=%s kept=true", i, key_of(node, i, key),
                     log_quote(guard->board.units[i].reason, quoted, sizeof quoted));
    }
    return code;
}

/* Until it can be written, bad GPUs are trusted by the next supervisor. */
static void keep_marks(const struct node *node)
{
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX];
    if (gpu_marks_write(node->plan.config->data_dir, node->gpus.boot, &node->gpus.board, &err) != 0)
        log_error("gpu.marks_lost", "error=%s", log_quote(err.text, quoted, sizeof quoted));
}

/* What follows from a change */

static void log_state(const struct node *node, size_t place)
{
    const struct gpu_unit *unit = &node->gpus.board.units[place];
    char key[GPU_KEY_MAX], quoted[2 * GPU_REASON_MAX];
    key_of(node, place, key);
    log_quote(unit->reason, quoted, sizeof quoted);
    switch (unit->state) {
    case GPU_STATE_UNWATCHED:
        log_info("gpu.unwatched", "gpu=%zu uuid=%s", place, key);
        return;
    case GPU_STATE_WELL:
        log_info("gpu.well", "gpu=%zu uuid=%s", place, key);
        return;
    case GPU_STATE_DEGRADED:
        log_warn("gpu.degraded", "gpu=%zu uuid=%s reason=%s", place, key, quoted);
        return;
    case GPU_STATE_BAD:
        log_error("gpu.bad", "gpu=%zu uuid=%s reason=%s", place, key, quoted);
        return;
    }
}

static void log_states(const struct node *node, uint64_t units)
{
    for (size_t i = 0; i < node->gpus.board.count; i++) {
        if ((units >> i & 1) != 0)
            log_state(node, i);
    }
}

static void log_event(struct node *node, size_t place, const struct gpu_record *record)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t *told_ns = &node->gpus.told_ns[place];
    if (record->event != GPU_EVENT_XID || (*told_ns != 0 && now_ns - *told_ns < EVENT_LOG_NS))
        return;
    static const char *const answers[] = {"ignored", "restart", "drain"};
    char key[GPU_KEY_MAX];
    *told_ns = now_ns;
    log_warn("gpu.xid", "gpu=%zu uuid=%s xid=%" PRIu64 " answer=%s", place,
             key_of(node, place, key), record->xid,
             answers[gpu_xid_answer(&node->gpus.board.rules, record->xid)]);
}

/* Drains the workers of bad GPUs and starts anew those whose GPU asks for it. */
static void follow(struct node *node, const struct gpu_change *change)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (has_unit(node, process, change->bad))
            node_stop(process, false);
        else if (has_unit(node, process, change->restart))
            node_replace(process, DEATH_CAUSE_RESTART);
    }
}

static void take_record(struct node *node, const struct gpu_record *record)
{
    struct gpu_board *board = &node->gpus.board;
    struct gpu_change change = gpu_board_take(board, record, clock_monotonic_ns());
    for (size_t i = 0; i < board->count; i++) {
        if ((change.events >> i & 1) != 0)
            log_event(node, i, record);
    }
    log_states(node, change.states);
    if (change.bad != 0)
        keep_marks(node);
    if (!node->is_stopping)
        follow(node, &change);
}

void gpu_guard_take(struct node *node, struct process *helper)
{
    unsigned char bytes[sizeof(struct gpu_record) + 1]; /* a longer one is seen to be longer */
    struct gpu_record record;
    for (int i = 0; i < RECORDS_PER_TURN && helper->gpu_fd >= 0; i++) {
        ssize_t size = recv(helper->gpu_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size < 0)
            return;
        if (size > 0 && gpu_record_read(bytes, (size_t)size, &record)) {
            take_record(node, &record);
            continue;
        }
        /* It ends when its socket does. */
        if (size > 0)
            log_error("gpu.record_malformed", "pid=%d bytes=%zd", (int)helper->pid, size);
        close(helper->gpu_fd);
        helper->gpu_fd = -1;
    }
}

void gpu_guard_forget(struct node *node)
{
    log_states(node, gpu_board_forget(&node->gpus.board, clock_monotonic_ns()));
}

/* Holding down */

bool gpu_guard_holds(const struct node *node, const struct process *process)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < node->gpus.board.count; i++)
        bad |= (uint64_t)(node->gpus.board.units[i].state == GPU_STATE_BAD) << i;
    return has_unit(node, process, bad);
}

void gpu_guard_trust(struct node *node, const struct process *process)
{
    int unit = gpu_guard_holds(node, process) ? unit_of(&node->gpus.board, &process->pin) : -1;
    char key[GPU_KEY_MAX];
    if (unit < 0 || !gpu_board_trust(&node->gpus.board, (size_t)unit, clock_monotonic_ns()))
        return;
    log_info("gpu.trusted", "gpu=%d uuid=%s", unit, key_of(node, (size_t)unit, key));
    keep_marks(node);
}

/* Status */

static int64_t figure_of(const struct gpu_unit *unit, enum gpu_figure figure)
{
    return (unit->known >> figure & 1) != 0 ? (int64_t)unit->figures[figure] : STATUS_UNKNOWN;
}

/* A figure that fits an int by its nature; the helper is not trusted to know that. */
static int32_t small_figure_of(const struct gpu_unit *unit, enum gpu_figure figure)
{
    int64_t value = figure_of(unit, figure);
    return value <= INT32_MAX && value >= 0 ? (int32_t)value : STATUS_UNKNOWN;
}

static void fill_figures(struct status_gpu *row, const struct gpu_unit *unit)
{
    const uint64_t throttled = GPU_THROTTLE_HARDWARE | GPU_THROTTLE_SOFT_HEAT |
                               GPU_THROTTLE_HARD_HEAT | GPU_THROTTLE_POWER_BRAKE;
    int32_t power_mw = small_figure_of(unit, GPU_FIGURE_POWER);
    row->seen_ns = unit->seen_ns;
    row->utilization_percent = small_figure_of(unit, GPU_FIGURE_UTILIZATION);
    row->temperature_celsius = small_figure_of(unit, GPU_FIGURE_TEMPERATURE);
    row->power_watts = power_mw == STATUS_UNKNOWN ? STATUS_UNKNOWN : power_mw / 1000;
    row->memory_used_bytes = figure_of(unit, GPU_FIGURE_MEMORY_USED);
    row->memory_total_bytes = figure_of(unit, GPU_FIGURE_MEMORY_TOTAL);
    row->ecc_errors = figure_of(unit, GPU_FIGURE_ECC_VOLATILE);
    row->ecc_errors_of_life = figure_of(unit, GPU_FIGURE_ECC_AGGREGATE);
    row->rows_remapped = figure_of(unit, GPU_FIGURE_ROWS_REMAPPED);
    row->row_pending = small_figure_of(unit, GPU_FIGURE_ROW_PENDING);
    row->row_failure = small_figure_of(unit, GPU_FIGURE_ROW_FAILURE);
    row->is_throttled = (unit->figures[GPU_FIGURE_THROTTLE] & throttled) != 0;
    row->last_xid = unit->last_xid <= INT32_MAX ? (int32_t)unit->last_xid : INT32_MAX;
    row->xid_count = unit->xid_count;
    row->corrected_count = unit->corrected_count;
}

size_t gpu_guard_fill(const struct node *node, struct status_gpu rows[STATUS_GPU_MAX])
{
    const struct topology *topology = node->plan.topology;
    const struct gpu_board *board = &node->gpus.board;
    for (size_t i = 0; i < board->count; i++) {
        const struct gpu_unit *unit = &board->units[i];
        struct status_gpu *row = &rows[i];
        *row = (struct status_gpu){.health = (int32_t)unit->state};
        memcpy(row->uuid, unit->identity.uuid, sizeof row->uuid);
        memcpy(row->bus_id, unit->identity.bus_id, sizeof row->bus_id);
        if (i < (size_t)topology->gpu_count)
            memcpy(row->model, topology->gpus[i].gpu.model, sizeof row->model);
        snprintf(row->reason, sizeof row->reason, "%s", unit->reason);
        row->since_ns = unit->since_ns;
        fill_figures(row, unit);
    }
    return board->count;
}
