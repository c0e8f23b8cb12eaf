/* SPDX-License-Identifier: Apache-2.0 */
/* test_link_channel: deaths are kept until acknowledged, in order, in bounds, over links' deaths.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "supervisor/link/link_channel.h"

static struct link_channel *channel;
static int fds[2]; /* ours, the link's */

static int set_up(void **state)
{
    (void)state;
    channel = calloc(1, sizeof *channel);
    return channel == NULL ||
           socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

static int tear_down(void **state)
{
    (void)state;
    free(channel);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static uint64_t receive(void)
{
    struct link_death death;
    ssize_t count = recv(fds[1], &death, sizeof death, 0);
    return count == (ssize_t)sizeof death ? death.sequence : 0;
}

static void acknowledge(uint64_t sequence)
{
    struct link_ack ack = {.kind = LINK_RECORD_ACK, .sequence = sequence};
    struct link_order order;
    assert_int_equal(send(fds[1], &ack, sizeof ack, 0), sizeof ack);
    assert_int_equal(link_channel_receive(channel, fds[0], &order), 0);
}

static void sends_once_and_again_to_a_new_link(void **state)
{
    (void)state;
    link_channel_add(channel, 11, "a", "signal 9 (killed)");
    link_channel_send(channel, -1); /* no link yet */
    link_channel_send(channel, fds[0]);
    link_channel_send(channel, fds[0]);
    assert_int_equal(receive(), 1);
    assert_int_equal(receive(), 0);
    link_channel_add(channel, 12, "b", "exit 1 (failed)");
    link_channel_send(channel, fds[0]);
    assert_int_equal(receive(), 2);
    acknowledge(1);
    link_channel_restart(channel);
    link_channel_send(channel, fds[0]);
    assert_int_equal(receive(), 2);
    assert_int_equal(receive(), 0);
    acknowledge(2);
    acknowledge(2); /* twice is once */
    assert_int_equal(channel->pending_count, 0);
}

static void acknowledgement_out_of_order_keeps_what_is_unsent(void **state)
{
    (void)state;
    link_channel_add(channel, 1, "a", "r");
    link_channel_add(channel, 2, "b", "r");
    link_channel_send(channel, fds[0]);
    link_channel_add(channel, 3, "c", "r");
    acknowledge(2);
    assert_int_equal(channel->sent_count, 1);
    link_channel_send(channel, fds[0]);
    assert_int_equal(receive(), 1);
    assert_int_equal(receive(), 2);
    assert_int_equal(receive(), 3);
}

static void oldest_is_forgotten_when_full(void **state)
{
    (void)state;
    for (int i = 0; i < LINK_PENDING_MAX + 3; i++)
        link_channel_add(channel, i, "x", "r");
    assert_int_equal(channel->pending_count, LINK_PENDING_MAX);
    assert_int_equal(channel->pending[0].sequence, 4);
    /* the socket takes fewer than all at once; the rest follows as there is room */
    uint64_t next = 4;
    link_channel_send(channel, fds[0]);
    for (uint64_t sequence; (sequence = receive()) != 0;) {
        assert_int_equal(sequence, next++);
        acknowledge(sequence);
        link_channel_send(channel, fds[0]);
    }
    assert_int_equal(next, LINK_PENDING_MAX + 4);
    assert_int_equal(channel->pending_count, 0);
}

/* An order ends the call, so that it is taken in its place between acknowledgements. */
static void orders_come_one_by_one(void **state)
{
    (void)state;
    struct link_order order = {.kind = LINK_RECORD_ORDER, .operation = LINK_OPERATION_DRAIN};
    link_channel_add(channel, 1, "a", "r");
    for (order.id = 7; order.id < 9; order.id++) {
        strcpy(order.target, order.id == 7 ? "cpu" : "gpu/0");
        assert_int_equal(send(fds[1], &order, sizeof order, 0), sizeof order);
    }
    struct link_ack ack = {.kind = LINK_RECORD_ACK, .sequence = 1};
    assert_int_equal(send(fds[1], &ack, sizeof ack, 0), sizeof ack);

    struct link_order taken;
    assert_int_equal(link_channel_receive(channel, fds[0], &taken), 1);
    assert_int_equal(taken.id, 7);
    assert_string_equal(taken.target, "cpu");
    assert_int_equal(link_channel_receive(channel, fds[0], &taken), 1);
    assert_string_equal(taken.target, "gpu/0");
    assert_int_equal(link_channel_receive(channel, fds[0], &taken), 0);
    assert_int_equal(channel->pending_count, 0);
}

/* A target that does not end, and an acknowledgement that says it is an order. */
static void wrong_orders_are_refused(void **state)
{
    (void)state;
    struct link_order order = {.kind = LINK_RECORD_ORDER};
    struct link_ack ack = {.kind = LINK_RECORD_ORDER};
    memset(order.target, 'x', sizeof order.target);
    assert_int_equal(send(fds[1], &order, sizeof order, 0), sizeof order);
    assert_int_equal(link_channel_receive(channel, fds[0], &order), ERR_PROTOCOL);
    assert_int_equal(send(fds[1], &ack, sizeof ack, 0), sizeof ack);
    assert_int_equal(link_channel_receive(channel, fds[0], &order), ERR_PROTOCOL);
}

static void malformed_record_is_refused(void **state)
{
    (void)state;
    struct link_order order;
    assert_int_equal(send(fds[1], "abc", 3, 0), 3);
    assert_int_equal(link_channel_receive(channel, fds[0], &order), ERR_PROTOCOL);
}

static void closed_socket_loses_nothing(void **state)
{
    (void)state;
    close(fds[1]);
    link_channel_add(channel, 1, "a", "r");
    link_channel_send(channel, fds[0]);
    assert_int_equal(channel->sent_count, 0);
    assert_int_equal(channel->pending_count, 1);
    fds[1] = dup(fds[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_once_and_again_to_a_new_link),
        TEST(acknowledgement_out_of_order_keeps_what_is_unsent),
        TEST(oldest_is_forgotten_when_full),
        TEST(orders_come_one_by_one),
        TEST(wrong_orders_are_refused),
        TEST(malformed_record_is_refused),
        TEST(closed_socket_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
