/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_vfs: SQLite's file layer with a disk that breaks: the Nth operation that changes the disk
 * (write, sync, truncate, delete) fails, and so does every one after it, or that one alone.
 *
 * Threading: any thread; the counters are atomic.
 */
#ifndef ARGOSY_TESTS_FAULT_VFS_H
#define ARGOSY_TESTS_FAULT_VFS_H

#include <stdbool.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_IO,   /* the device refuses */
    FAULT_ONCE, /* the device refuses this operation alone */
    FAULT_FULL, /* no space is left: writes alone fail */
    FAULT_TORN, /* the device refuses in the middle of a write: half of it is there */
};

/* Makes it the file layer of every connection opened from now on. Once per process. */
void fault_vfs_install(void);

/* The operation with this number, counted from 1 from here on, is the first to fail; FAULT_NONE
 * heals the disk. */
void fault_vfs_arm(enum fault_kind kind, int operation);

/* Whether an operation has failed since fault_vfs_arm. */
bool fault_vfs_has_failed(void);

/* Holds every sync from now on until fault_vfs_release; fault_vfs_wait_held returns when a thread
 * is being held. */
void fault_vfs_hold(void);
void fault_vfs_wait_held(void);
void fault_vfs_release(void);

#endif
