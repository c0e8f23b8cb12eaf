/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: where an endpoint listens and a connection goes: "ipc://PATH" or "tcp://HOST:PORT"
 * (docs/spec/01-wire.md, section 2). Checked here, so that a wrong one is a clear error before it
 * reaches libzmq.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_QUEUES_ADDRESS_H
#define ARGOSY_QUEUES_ADDRESS_H

#include <stdbool.h>

#include "common/error.h"

struct address {
    bool is_tcp;
    bool is_loopback; /* tcp: 127.0.0.0/8, [::1] or localhost */
    bool is_ipv6;     /* tcp: the host is in brackets */
    const char *path; /* ipc; borrowed from the text */
};

/* ERR_CONFIG. */
int address_parse(const char *text, struct address *ret_address, struct error *err);

/* Makes the folder of an ipc path with mode 0700 where it is missing. ERR_PERMISSION when it
 * belongs to another user or group or others may write it, ERR_EXISTS when somebody serves the path
 * already, ERR_IO. */
int address_prepare_ipc(const struct address *address, struct error *err);

/* Of an ipc path whose socket was made for us: the same of its folder, and ERR_PERMISSION when
 * everybody may connect to it. */
int address_check_socket(const struct address *address, struct error *err);

#endif
