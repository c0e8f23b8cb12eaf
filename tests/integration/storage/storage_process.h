/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_process: a real argosy-storage on a volume of its own under /tmp, and a client of it. The
 * client waits for the process by itself: so starting does not.
 */
#ifndef ARGOSY_TESTS_STORAGE_PROCESS_H
#define ARGOSY_TESTS_STORAGE_PROCESS_H

#include <sys/types.h>

#include "storage/storage_client.h"

struct storage_process {
    char folder[64];
    struct fleet_config *config;
    struct storage_client *client;
    pid_t pid;
};

/* A new volume, a process, a client. storage: members of the config's section "storage", or "". */
void storage_process_open(struct storage_process *process, const char *storage);
/* Ends the process by SIGTERM, removes the volume. */
void storage_process_close(struct storage_process *process);

/* By hand, on the same volume; the signal's effect is waited for. */
void storage_process_start(struct storage_process *process);
void storage_process_kill(struct storage_process *process, int signal_number);

#endif
