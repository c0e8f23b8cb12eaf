/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_channel: the deaths that the engine has not acknowledged yet, and their way to the link.
 *
 * Deaths stay in order of sequence until acknowledged; whoever is the link at the time gets them.
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_CHANNEL_H
#define ARGOSY_SUPERVISOR_LINK_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "supervisor/link/link_message.h"

struct link_channel {
    uint64_t last_sequence;
    size_t pending_count;
    size_t sent_count; /* of the pending ones, from the front, to the link there is now */
    struct link_death pending[LINK_PENDING_MAX];
};

/* Remembers a death, forgetting the oldest one when there are LINK_PENDING_MAX. */
void link_channel_add(struct link_channel *channel, int64_t pid, const char *instance_id,
                      const char *reason);

/* There is a new link: everything is to be sent again. */
void link_channel_restart(struct link_channel *channel);

/* Sends what was not sent, as far as the socket takes it now. fd is the link's socket, or -1. */
void link_channel_send(struct link_channel *channel, int fd);

/* Takes the acknowledgements that have come, up to the next order: 1 with that, 0 when there is
 * nothing more, ERR_PROTOCOL for a malformed record. */
int link_channel_receive(struct link_channel *channel, int fd, struct link_order *ret_order);

#endif
