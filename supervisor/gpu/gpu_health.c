/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_health: see gpu_health.h. */
#include "supervisor/gpu/gpu_health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

/* Xids that are answered otherwise than by a drain, and names of some that are not rare. NVIDIA's
 * device plug-in for Kubernetes takes the same six for errors of applications. */
struct xid_row {
    uint32_t xid;
    enum gpu_answer answer;
    const char *name;
};

static const struct xid_row xid_rows[] = {
    {13, GPU_ANSWER_NOTHING, "graphics engine exception"},
    {31, GPU_ANSWER_NOTHING, "memory page fault"},
    {43, GPU_ANSWER_NOTHING, "stopped processing"},
    {45, GPU_ANSWER_NOTHING, "preemptive cleanup"},
    {46, GPU_ANSWER_DRAIN, "stopped processing, needs a reset"},
    {48, GPU_ANSWER_DRAIN, "double-bit memory error"},
    {63, GPU_ANSWER_DRAIN, "row remapping recorded"},
    {64, GPU_ANSWER_DRAIN, "row remapping failed"},
    {68, GPU_ANSWER_NOTHING, "video processor exception"},
    {74, GPU_ANSWER_DRAIN, "NVLink error"},
    {79, GPU_ANSWER_DRAIN, "fell off the bus"},
    {92, GPU_ANSWER_DRAIN, "many corrected memory errors"},
    {94, GPU_ANSWER_RESTART, "contained memory error"},
    {95, GPU_ANSWER_DRAIN, "uncontained memory error"},
    {109, GPU_ANSWER_NOTHING, "context switch timeout"},
    {119, GPU_ANSWER_DRAIN, "GSP timeout"},
    {120, GPU_ANSWER_DRAIN, "GSP error"},
};

static const struct xid_row *find_xid(uint64_t xid)
{
    for (size_t i = 0; i < sizeof xid_rows / sizeof xid_rows[0]; i++) {
        if (xid_rows[i].xid == xid)
            return &xid_rows[i];
    }
    return NULL;
}

static bool set_has(const struct gpu_xid_set *set, uint64_t xid)
{
    return xid <= FLEET_XID_MAX && (set->bits[xid / 64] >> xid % 64 & 1) != 0;
}

static void fill_set(struct gpu_xid_set *set, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned long xid = strtoul(texts[i], NULL, 10);
        ASSERT(xid <= FLEET_XID_MAX); /* the configuration's schema saw to it */
        set->bits[xid / 64] |= UINT64_C(1) << xid % 64;
    }
}

void gpu_rules_init(struct gpu_rules *rules, const struct fleet_gpu_health *config)
{
    *rules = (struct gpu_rules){.temperature_max = (uint32_t)config->temperature_max};
    fill_set(&rules->ignored, config->ignore_xids, config->ignore_xid_count);
    fill_set(&rules->fatal, config->fatal_xids, config->fatal_xid_count);
}

enum gpu_answer gpu_xid_answer(const struct gpu_rules *rules, uint64_t xid)
{
    if (set_has(&rules->fatal, xid))
        return GPU_ANSWER_DRAIN;
    if (set_has(&rules->ignored, xid))
        return GPU_ANSWER_NOTHING;
    const struct xid_row *row = find_xid(xid);
    /* What nobody knows is taken for the worst. */
    return row != NULL ? row->answer : GPU_ANSWER_DRAIN;
}

const char *gpu_xid_format(uint64_t xid, char out[GPU_REASON_MAX])
{
    const struct xid_row *row = find_xid(xid);
    if (row != NULL)
        snprintf(out, GPU_REASON_MAX, "xid %" PRIu64 " (%s)", xid, row->name);
    else
        snprintf(out, GPU_REASON_MAX, "xid %" PRIu64, xid);
    return out;
}

/* Units */

void gpu_unit_init(struct gpu_unit *unit, const struct hardware_gpu *gpu, uint64_t now_ns)
{
    *unit = (struct gpu_unit){.state = GPU_STATE_UNWATCHED, .since_ns = now_ns};
    unit->identity.minor = gpu->minor;
    unit->identity.gpu_instance = unit->identity.compute_instance = GPU_INSTANCE_NONE;
    memcpy(unit->identity.uuid, gpu->uuid, sizeof unit->identity.uuid);
    memcpy(unit->identity.bus_id, gpu->bus_id, sizeof unit->identity.bus_id);
}

const char *gpu_unit_key(const struct gpu_unit *unit, char out[GPU_KEY_MAX])
{
    if (unit->identity.uuid[0] != '\0')
        snprintf(out, GPU_KEY_MAX, "%s", unit->identity.uuid);
    else if (unit->identity.bus_id[0] != '\0')
        snprintf(out, GPU_KEY_MAX, "%s", unit->identity.bus_id);
    else
        snprintf(out, GPU_KEY_MAX, "nvidia%d", (int)unit->identity.minor);
    return out;
}

/* True when the state is another one; the reason may change within one, except that a bad GPU keeps
 * its first. */
static bool move(struct gpu_unit *unit, enum gpu_state state, const char *reason, uint64_t now_ns)
{
    bool is_new = unit->state != state;
    if (is_new)
        unit->since_ns = now_ns;
    unit->state = state;
    snprintf(unit->reason, sizeof unit->reason, "%s", reason);
    return is_new;
}

bool gpu_unit_condemn(struct gpu_unit *unit, const char *reason, uint64_t now_ns)
{
    return unit->state != GPU_STATE_BAD && move(unit, GPU_STATE_BAD, reason, now_ns);
}

/* Which unit a record is about */

static bool is_slice(const struct gpu_identity *identity)
{
    return strncmp(identity->uuid, "MIG-", 4) == 0;
}

static bool is_same_text(const char *left, const char *right)
{
    return left[0] != '\0' && strcmp(left, right) == 0;
}

/* Whether both are of one GPU, as far as GPUs are told apart by where they are. */
static bool is_same_place(const struct gpu_identity *left, const struct gpu_identity *right)
{
    if (left->bus_id[0] != '\0' && right->bus_id[0] != '\0')
        return strcmp(left->bus_id, right->bus_id) == 0;
    return left->minor >= 0 && left->minor == right->minor;
}

bool gpu_identity_is_same(const struct gpu_identity *left, const struct gpu_identity *right)
{
    if (left->uuid[0] != '\0' && right->uuid[0] != '\0')
        return strcmp(left->uuid, right->uuid) == 0;
    return !is_slice(left) && !is_slice(right) && is_same_place(left, right);
}

static bool is_instance(uint32_t unit, uint32_t told)
{
    return told == GPU_INSTANCE_NONE || unit == GPU_INSTANCE_NONE || unit == told;
}

/* Whether the board has slices of a GPU: who uses that GPU uses one of them. */
static bool is_cut(const struct gpu_board *board, const struct gpu_identity *gpu)
{
    for (size_t i = 0; i < board->count; i++) {
        const struct gpu_identity *unit = &board->units[i].identity;
        if (is_slice(unit) && is_same_place(unit, gpu))
            return true;
    }
    return false;
}

/* An event is of a GPU with all its slices, or of one slice. */
static bool is_struck(const struct gpu_board *board, const struct gpu_identity *unit,
                      const struct gpu_identity *told)
{
    bool is_of_slice = told->gpu_instance != GPU_INSTANCE_NONE;
    if (!is_slice(unit))
        return (is_same_text(unit->uuid, told->uuid) || is_same_place(unit, told)) &&
               !(is_of_slice && is_cut(board, unit));
    return is_same_place(unit, told) && is_instance(unit->gpu_instance, told->gpu_instance) &&
           is_instance(unit->compute_instance, told->compute_instance);
}

/* Records */

/* How many samples in a row were at least most; 0 is no bound. */
static unsigned count_row(unsigned row, const struct gpu_unit *unit, uint64_t most)
{
    bool is_above = most > 0 && (unit->known >> GPU_FIGURE_TEMPERATURE & 1) != 0 &&
                    unit->figures[GPU_FIGURE_TEMPERATURE] >= most;
    return is_above ? row + 1 : 0;
}

/* What is told of a GPU that works; false when there is nothing. */
static bool find_trouble(const struct gpu_unit *unit, char out[GPU_REASON_MAX])
{
    uint64_t throttle = unit->figures[GPU_FIGURE_THROTTLE];
    const char *text = NULL;
    if (unit->figures[GPU_FIGURE_ROW_PENDING] != 0)
        text = "a row of its memory is replaced at its next reset";
    else if (unit->figures[GPU_FIGURE_ECC_VOLATILE] != 0)
        text = "uncorrected memory errors";
    else if ((throttle & (GPU_THROTTLE_SOFT_HEAT | GPU_THROTTLE_HARD_HEAT)) != 0)
        text = "throttled by heat";
    else if ((throttle & GPU_THROTTLE_POWER_BRAKE) != 0)
        text = "throttled by the power supply";
    else if ((throttle & GPU_THROTTLE_HARDWARE) != 0)
        text = "throttled by its hardware";
    if (unit->hot_row >= GPU_HOT_SAMPLES)
        snprintf(out, GPU_REASON_MAX, "hot: %" PRIu64 " degrees Celsius",
                 unit->figures[GPU_FIGURE_TEMPERATURE]);
    else if (text != NULL)
        snprintf(out, GPU_REASON_MAX, "%s", text);
    return text != NULL || unit->hot_row >= GPU_HOT_SAMPLES;
}

/* The lower of the thresholds that the hardware has. */
static uint64_t hot_from(const struct gpu_unit *unit)
{
    uint64_t slowdown = unit->figures[GPU_FIGURE_SLOWDOWN];
    return slowdown != 0 ? slowdown : unit->figures[GPU_FIGURE_SHUTDOWN];
}

/* Judges a unit by its figures. True when it has changed its state. */
static bool judge(struct gpu_unit *unit, const struct gpu_rules *rules, uint64_t now_ns)
{
    char reason[GPU_REASON_MAX] = "";
    unit->hot_row = count_row(unit->hot_row, unit, hot_from(unit));
    unit->max_row = count_row(unit->max_row, unit, rules->temperature_max);
    if (unit->state == GPU_STATE_BAD)
        return false;
    if (unit->figures[GPU_FIGURE_ROW_FAILURE] != 0)
        return gpu_unit_condemn(unit, "a row of its memory could not be replaced", now_ns);
    if (unit->max_row >= GPU_HOT_SAMPLES) {
        snprintf(reason, sizeof reason, "%" PRIu64 " degrees Celsius, %u are allowed",
                 unit->figures[GPU_FIGURE_TEMPERATURE], (unsigned)rules->temperature_max);
        return gpu_unit_condemn(unit, reason, now_ns);
    }
    bool has_trouble = find_trouble(unit, reason);
    return move(unit, has_trouble ? GPU_STATE_DEGRADED : GPU_STATE_WELL, reason, now_ns);
}

/* Takes over what the topology did not know. */
static void complete(struct gpu_identity *unit, const struct gpu_identity *told)
{
    if (unit->uuid[0] == '\0')
        memcpy(unit->uuid, told->uuid, sizeof unit->uuid);
    if (unit->bus_id[0] == '\0')
        memcpy(unit->bus_id, told->bus_id, sizeof unit->bus_id);
    if (unit->minor < 0)
        unit->minor = told->minor;
    unit->gpu_instance = told->gpu_instance;
    unit->compute_instance = told->compute_instance;
}

/* Notes an event; what it asks for. reason is filled for a drain. */
static enum gpu_answer note_event(struct gpu_unit *unit, const struct gpu_rules *rules,
                                  const struct gpu_record *record, char reason[GPU_REASON_MAX])
{
    switch ((enum gpu_event)record->event) {
    case GPU_EVENT_XID:
        unit->last_xid = record->xid;
        unit->xid_count++;
        gpu_xid_format(record->xid, reason);
        return gpu_xid_answer(rules, record->xid);
    case GPU_EVENT_ECC_SINGLE:
        unit->corrected_count++;
        return GPU_ANSWER_NOTHING;
    case GPU_EVENT_ECC_DOUBLE:
        snprintf(reason, GPU_REASON_MAX, "double-bit memory error");
        return GPU_ANSWER_DRAIN;
    case GPU_EVENT_LOST:
        snprintf(reason, GPU_REASON_MAX, "GPU is lost");
        return GPU_ANSWER_DRAIN;
    case GPU_EVENT_RESET:
        snprintf(reason, GPU_REASON_MAX, "needs a reset");
        return GPU_ANSWER_DRAIN;
    }
    UNREACHABLE(); /* gpu_record_read lets nothing else through */
}

/* Takes the figures of its unit. */
static bool take_figures(struct gpu_unit *unit, const struct gpu_rules *rules,
                         const struct gpu_record *record, uint64_t now_ns)
{
    complete(&unit->identity, &record->identity);
    unit->seen_ns = now_ns;
    unit->known = record->known;
    memcpy(unit->figures, record->figures, sizeof unit->figures);
    return judge(unit, rules, now_ns);
}

struct gpu_change gpu_board_take(struct gpu_board *board, const struct gpu_record *record,
                                 uint64_t now_ns)
{
    struct gpu_change change = {0};
    bool is_event = record->kind == GPU_RECORD_EVENT;
    bool is_once = is_event && record->event <= GPU_EVENT_ECC_SINGLE; /* the rest is a condition */
    for (size_t i = 0; i < board->count; i++) {
        struct gpu_unit *unit = &board->units[i];
        uint64_t bit = UINT64_C(1) << i;
        char reason[GPU_REASON_MAX];
        bool is_changed = false;
        if (is_event ? !is_struck(board, &unit->identity, &record->identity)
                     : !gpu_identity_is_same(&unit->identity, &record->identity))
            continue;
        enum gpu_answer answer = GPU_ANSWER_NOTHING;
        if (is_event)
            answer = note_event(unit, &board->rules, record, reason);
        else
            is_changed = take_figures(unit, &board->rules, record, now_ns);
        if (answer == GPU_ANSWER_DRAIN)
            is_changed = gpu_unit_condemn(unit, reason, now_ns);
        if (answer == GPU_ANSWER_RESTART && unit->state != GPU_STATE_BAD)
            change.restart |= bit;
        change.events |= is_once ? bit : 0;
        change.states |= is_changed ? bit : 0;
        change.bad |= is_changed && unit->state == GPU_STATE_BAD ? bit : 0;
    }
    return change;
}

uint64_t gpu_board_forget(struct gpu_board *board, uint64_t now_ns)
{
    uint64_t changed = 0;
    for (size_t i = 0; i < board->count; i++) {
        struct gpu_unit *unit = &board->units[i];
        unit->seen_ns = unit->known = 0;
        memset(unit->figures, 0, sizeof unit->figures);
        unit->hot_row = unit->max_row = 0;
        if (unit->state != GPU_STATE_BAD && move(unit, GPU_STATE_UNWATCHED, "", now_ns))
            changed |= UINT64_C(1) << i;
    }
    return changed;
}

static bool trust(struct gpu_unit *unit, uint64_t now_ns)
{
    unit->hot_row = unit->max_row = 0;
    return unit->state == GPU_STATE_BAD && move(unit, GPU_STATE_UNWATCHED, "", now_ns);
}

bool gpu_board_trust(struct gpu_board *board, size_t place, uint64_t now_ns)
{
    struct gpu_unit *unit = &board->units[place];
    bool is_changed = trust(unit, now_ns);
    for (size_t i = 0; i < board->count && is_slice(&unit->identity); i++) {
        struct gpu_unit *other = &board->units[i];
        if (!is_slice(&other->identity) && is_same_place(&unit->identity, &other->identity))
            is_changed = trust(other, now_ns) || is_changed;
    }
    return is_changed;
}

const char *gpu_state_name(enum gpu_state state)
{
    static const char *const names[GPU_STATE_COUNT] = {"unwatched", "well", "degraded", "bad"};
    return names[state];
}
