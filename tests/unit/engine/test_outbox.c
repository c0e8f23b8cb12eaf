/* SPDX-License-Identifier: Apache-2.0 */
/* What engine/outbox.h promises: order kept, reasons copied, memory reused. */
#include "engine/outbox.h"
#include "tests/test.h"

static void keeps_everything_in_order(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox);
    for (uint64_t round = 1; round <= 2; round++) {
        outbox_reset(&outbox, round);
        assert_int_equal(outbox.sequence, round);
        char reason[] = "lease expired";
        for (int i = 0; i < 1000; i++) {
            outbox_write(&outbox, &(struct store_write){.run_key = i});
            outbox_reply(&outbox, &(struct outbox_reply){.correlation = (uint64_t)i});
            outbox_kill(&outbox, (uint64_t)i, reason);
        }
        reason[0] = 'X';
        assert_int_equal(outbox.write_count, 1000);
        assert_int_equal(outbox.reply_count, 1000);
        assert_int_equal(outbox.kill_count, 1000);
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(outbox.writes[i].run_key, i);
            assert_int_equal(outbox.replies[i].correlation, i);
            assert_int_equal(outbox.kills[i].session, i);
            assert_string_equal(outbox.kills[i].reason, "lease expired");
        }
    }
    outbox_fini(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everything_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
