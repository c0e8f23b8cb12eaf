/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleep: a workflow that waits for 30 days, tested in milliseconds.
 *
 *     TrialWorkflow       input: {"user": "ada", "days": 30}
 *                         reminds the user a week before the trial ends, then ends it
 *                         result: {"days": 30}, as they passed by its clock
 *
 * Between its steps it is two timers in the engine's store and nothing else: no thread, no process
 * that must live for a month. trial_test.c runs it in milliseconds.
 */
#include <argosy/plugin.h>

#define DAY_US        INT64_C(86400000000)
#define DAYS_MAX      3650
#define REMINDER_DAYS 7

/* ---- activities: here mail would be sent ---- */

static int send_mail(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    const char *subject = user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    const char *user;
    int code = argosy_payload_get_string(argosy_activity_input(activity), arena, &user, err);
    if (code == 0)
        *ret_result =
            argosy_payload_string(arena, argosy_arena_printf(arena, "%s: %s", user, subject));
    return code;
}

/* ---- the workflow ---- */

static int mail(struct argosy_workflow *workflow, const char *type, struct argosy_payload user,
                struct argosy_error *err)
{
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){
            .type = type, .input = ARGOSY_PAYLOADS(user), .start_to_close_timeout_ms = 10000},
        NULL, err);
}

static int trial_read(struct argosy_workflow *workflow, struct argosy_payload *ret_user,
                      int64_t *ret_days, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_workflow_arena(workflow);
    struct argosy_payload days;
    int code =
        argosy_payload_get_member(argosy_workflow_input(workflow), "user", arena, ret_user, err);
    if (code == 0)
        code =
            argosy_payload_get_member(argosy_workflow_input(workflow), "days", arena, &days, err);
    if (code == 0)
        code = argosy_payload_get_integer(&days, ret_days, err);
    if (code == 0 && (*ret_days < 1 || *ret_days > DAYS_MAX))
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "a trial has 1 to %d days", DAYS_MAX);
    return code;
}

/* Waits until the run's clock shows utc_us. */
static int sleep_until(struct argosy_workflow *workflow, int64_t utc_us, struct argosy_error *err)
{
    int64_t left_us = utc_us - argosy_workflow_now_utc_us(workflow);
    return left_us <= 0 ? 0 : argosy_workflow_sleep(workflow, (left_us + 999) / 1000, err);
}

static int trial(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_payload user;
    int64_t days;
    int code = trial_read(workflow, &user, &days, err);
    if (code != 0)
        return code;
    int64_t begin_us = argosy_workflow_now_utc_us(workflow);
    int64_t end_us = begin_us + days * DAY_US;
    if (days > REMINDER_DAYS) {
        code = sleep_until(workflow, end_us - REMINDER_DAYS * DAY_US, err);
        if (code == 0)
            code = mail(workflow, "remind", user, err);
    }
    if (code == 0)
        code = sleep_until(workflow, end_us, err);
    if (code == 0)
        code = mail(workflow, "end_trial", user, err);
    if (code != 0)
        return code;
    argosy_workflow_log(workflow, "the trial has ended");
    int64_t passed_us = argosy_workflow_now_utc_us(workflow) - begin_us;
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_result, err, "{s:I}", "days",
                               passed_us / DAY_US);
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_workflow(registry, "TrialWorkflow", trial, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "remind", send_mail,
                                            "your trial ends in a week", err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "end_trial", send_mail,
                                            "your trial has ended", err);
    return code;
}
