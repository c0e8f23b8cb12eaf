/* SPDX-License-Identifier: Apache-2.0 */
/* link_channel: see link_channel.h. */
#include "supervisor/link/link_channel.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"

/* Takes the place-th pending death out. */
static void forget(struct link_channel *channel, size_t place)
{
    channel->pending_count--;
    memmove(&channel->pending[place], &channel->pending[place + 1],
            (channel->pending_count - place) * sizeof channel->pending[0]);
    if (place < channel->sent_count)
        channel->sent_count--;
}

void link_channel_add(struct link_channel *channel, int64_t pid, const char *instance_id,
                      const char *reason)
{
    if (channel->pending_count == LINK_PENDING_MAX)
        forget(channel, 0);
    struct link_death *death = &channel->pending[channel->pending_count++];
    *death = (struct link_death){
        .kind = LINK_RECORD_DEATH, .sequence = ++channel->last_sequence, .pid = pid};
    snprintf(death->instance_id, sizeof death->instance_id, "%s", instance_id);
    snprintf(death->reason, sizeof death->reason, "%s", reason);
}

void link_channel_restart(struct link_channel *channel)
{
    channel->sent_count = 0;
}

void link_channel_send(struct link_channel *channel, int fd)
{
    while (fd >= 0 && channel->sent_count < channel->pending_count) {
        const struct link_death *death = &channel->pending[channel->sent_count];
        /* A full socket is tried again with the next acknowledgement, a broken one with the next
         * link. */
        if (send(fd, death, sizeof *death, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof *death)
            return;
        channel->sent_count++;
    }
}

static void take_ack(struct link_channel *channel, const struct link_ack *ack)
{
    for (size_t i = 0; i < channel->pending_count; i++) {
        if (channel->pending[i].sequence == ack->sequence) {
            forget(channel, i);
            return;
        }
    }
}

int link_channel_receive(struct link_channel *channel, int fd, struct link_order *ret_order)
{
    union link_any record;
    ssize_t count;
    while ((count = recv(fd, &record, sizeof record, MSG_DONTWAIT | MSG_TRUNC)) > 0) {
        if (count == (ssize_t)sizeof record.ack && record.kind == LINK_RECORD_ACK) {
            take_ack(channel, &record.ack);
        } else if (count == (ssize_t)sizeof record.order && record.kind == LINK_RECORD_ORDER &&
                   memchr(record.order.target, '\0', sizeof record.order.target) != NULL) {
            *ret_order = record.order;
            return 1;
        } else {
            return ERR_PROTOCOL;
        }
    }
    return 0;
}
