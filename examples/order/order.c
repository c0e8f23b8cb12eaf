/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order: a workflow that people talk to while it waits. Signals change the order, a query reads it,
 * and what is not paid before the deadline, or is cancelled, is paid back.
 *
 *     input: {"deadline_ms": 60000}
 *     signals: "add_item" (price), "pay" (amount), "cancel"; amounts are integers, such as cents
 *     query: "balance", what is still to be paid
 *     result: {"status": "shipped" or "expired" or "canceled", "paid_back": amount}
 */
#include <argosy/plugin.h>

struct order {
    int64_t price;
    int64_t paid;
    int64_t paid_back;
    bool canceled;
};

/* ---- activities ---- */

static int ship(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)activity;
    (void)user_data;
    (void)ret_result;
    (void)err;
    return 0; /* here a parcel would leave */
}

/* Pays an amount back, and returns it. A real one names the run to the bank, which then knows a
 * second attempt for what it is. */
static int refund(struct argosy_activity *activity, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t amount;
    int code = argosy_payload_get_integer(argosy_activity_input(activity), &amount, err);
    if (code == 0)
        *ret_result = argosy_payload_integer(argosy_activity_arena(activity), amount);
    return code;
}

/* ---- signals and query ---- */

/* The positive amount in a signal; 0, and a line in the log, for anything else: a sender's mistake
 * must not end the order. */
static int64_t signal_amount(struct argosy_workflow *workflow, const struct argosy_payloads *input)
{
    int64_t amount = 0;
    if (input->count != 1 || argosy_payload_get_integer(&input->items[0], &amount, NULL) != 0 ||
        amount <= 0 || amount > INT32_MAX) {
        argosy_workflow_log(workflow, "signal without a positive amount ignored");
        return 0;
    }
    return amount;
}

static void on_add_item(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                        void *user_data)
{
    struct order *order = user_data;
    order->price += signal_amount(workflow, input);
}

static void on_pay(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                   void *user_data)
{
    struct order *order = user_data;
    order->paid += signal_amount(workflow, input);
}

static void on_cancel(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                      void *user_data)
{
    (void)workflow;
    (void)input;
    struct order *order = user_data;
    order->canceled = true;
}

static int answer_balance(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                          void *user_data, struct argosy_payload *ret_answer,
                          struct argosy_error *err)
{
    (void)input;
    (void)err;
    const struct order *order = user_data;
    *ret_answer =
        argosy_payload_integer(argosy_workflow_arena(workflow), order->price - order->paid);
    return 0;
}

/* ---- the workflow ---- */

static bool is_settled(void *user_data)
{
    const struct order *order = user_data;
    return order->canceled || (order->price > 0 && order->paid >= order->price);
}

static int order_ship(struct argosy_workflow *workflow, struct argosy_error *err)
{
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "ship", .start_to_close_timeout_ms = 10000}, NULL,
        err);
}

/* Pays back what is over amount, what comes meanwhile included. Shielded: it runs to its end
 * although the run is cancelled. err is touched only when it fails. */
static int order_pay_back(struct argosy_workflow *workflow, struct order *order, int64_t amount,
                          struct argosy_error *err)
{
    bool shielded = argosy_workflow_shield(workflow, true);
    int code = 0;
    while (code == 0 && order->paid > amount) {
        int64_t back = order->paid - amount;
        order->paid -= back;
        order->paid_back += back;
        code = argosy_activity_execute(
            workflow,
            &(struct argosy_activity_options){.type = "refund",
                                              .input = ARGOSY_PAYLOADS(argosy_payload_integer(
                                                  argosy_workflow_arena(workflow), back)),
                                              .start_to_close_timeout_ms = 10000},
            NULL, err);
    }
    argosy_workflow_shield(workflow, shielded);
    return code;
}

static int deadline_get(struct argosy_workflow *workflow, int64_t *ret_ms, struct argosy_error *err)
{
    struct argosy_payload deadline;
    int code = argosy_payload_get_member(argosy_workflow_input(workflow), "deadline_ms",
                                         argosy_workflow_arena(workflow), &deadline, err);
    return code != 0 ? code : argosy_payload_get_integer(&deadline, ret_ms, err);
}

static int take_order(struct argosy_workflow *workflow, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    /* Not a local variable: the balance is answered when the order is over, too. */
    struct order *order = argosy_workflow_alloc(workflow, sizeof *order);
    *order = (struct order){0};
    argosy_query_handle(workflow, "balance", answer_balance, order);
    /* Signals that came before these lines are not lost: they are handled here, in order. */
    argosy_signal_handle(workflow, "add_item", on_add_item, order);
    argosy_signal_handle(workflow, "pay", on_pay, order);
    argosy_signal_handle(workflow, "cancel", on_cancel, order);

    int64_t deadline_ms;
    int code = deadline_get(workflow, &deadline_ms, err);
    if (code != 0)
        return code;
    /* The timeout is a durable timer: it runs on while no process of the fleet does. */
    code = argosy_condition_wait(workflow, is_settled, order, deadline_ms, err);
    const char *status = NULL; /* while the order does not end well */
    int64_t due = 0;
    if (code == ARGOSY_ERR_TIMEOUT) {
        status = "expired";
    } else if (code == 0 && order->canceled) {
        status = "canceled";
    } else if (code == 0 && (code = order_ship(workflow, err)) == 0) {
        status = "shipped";
        due = order->price;
    }
    int refunded = order_pay_back(workflow, order, due, err);
    if (refunded != 0)
        return refunded;
    if (status == NULL)
        return code; /* the run was cancelled, or shipping failed */
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_result, err, "{s:s, s:I}",
                               "status", status, "paid_back", order->paid_back);
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_workflow(registry, "OrderWorkflow", take_order, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "ship", ship, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "refund", refund, NULL, err);
    return code;
}
