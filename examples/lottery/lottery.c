/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lottery: chance and time in a workflow. A winner is drawn at once and announced by a signal,
 * hours or weeks later. Whatever dies meanwhile, it is the same winner: a run's random numbers,
 * uuids and time are the same whenever its code runs again.
 *
 *     input: how many take part, such as 100
 *     query: "draw", what was drawn: {"winner": 42, "ticket": "0b6b8a5e-...", "drawn_at_us":
 * 1767...} signal: "announce" result: as the query's answer
 */
#include <argosy/plugin.h>

struct draw {
    int64_t winner; /* 1 to the number of those who take part */
    char ticket[ARGOSY_UUID_SIZE];
    int64_t drawn_at_us;
};

static int draw_winner(struct argosy_workflow *workflow, struct draw *ret_draw,
                       struct argosy_error *err)
{
    int64_t count;
    int code = argosy_payload_get_integer(argosy_workflow_input(workflow), &count, err);
    if (code != 0)
        return code;
    if (count < 1)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "nobody takes part");
    ret_draw->winner = 1 + (int64_t)(argosy_workflow_random(workflow) % (uint64_t)count);
    argosy_workflow_uuid(workflow, ret_draw->ticket);
    ret_draw->drawn_at_us = argosy_workflow_now_utc_us(workflow);
    argosy_workflow_log(workflow, "drawn: one of %lld", (long long)count);
    return 0;
}

static int draw_pack(const struct draw *draw, struct argosy_arena *arena,
                     struct argosy_payload *ret_payload, struct argosy_error *err)
{
    return argosy_payload_pack(arena, ret_payload, err, "{s:I, s:s, s:I}", "winner", draw->winner,
                               "ticket", draw->ticket, "drawn_at_us", draw->drawn_at_us);
}

static int answer_draw(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                       void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input;
    return draw_pack(user_data, argosy_workflow_arena(workflow), ret_answer, err);
}

static int hold_lottery(struct argosy_workflow *workflow, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct draw *draw = argosy_workflow_alloc(workflow, sizeof *draw);
    int code = draw_winner(workflow, draw, err);
    if (code != 0)
        return code;
    argosy_query_handle(workflow, "draw", answer_draw, draw);
    code = argosy_signal_receive(workflow, "announce", -1, NULL, err);
    if (code != 0)
        return code;
    argosy_workflow_log(workflow, "announced: number %lld", (long long)draw->winner);
    return draw_pack(draw, argosy_workflow_arena(workflow), ret_result, err);
}

ARGOSY_PLUGIN(registry, err)
{
    return argosy_registry_add_workflow(registry, "LotteryWorkflow", hold_lottery, NULL, err);
}
