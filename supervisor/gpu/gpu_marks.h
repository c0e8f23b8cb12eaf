/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_marks: which GPUs are bad, over a restart of the supervisor: the file <data_dir>/bad_gpus.
 *
 *     boot 5f0c1c2e-...                        the life of the machine that the rest is about
 *     GPU-6f1d2c3b-... 0000:3b:00.0 3 xid 79 (fell off the bus)
 *
 * A GPU has all its names (UUID, bus id, device file; "-" is none known), because the supervisor
 * that reads them may know fewer of them than the helper told the one that wrote.
 *
 * The driver tells of an error once: a supervisor that starts anew, or upgrades itself in place,
 * would trust a GPU that broke before. A machine that was started anew is another matter: marks of
 * another boot count for nothing. So does a line that is none.
 *
 * Threading: none.
 */
#ifndef ARGOSY_SUPERVISOR_GPU_MARKS_H
#define ARGOSY_SUPERVISOR_GPU_MARKS_H

#include "common/error.h"
#include "supervisor/gpu/gpu_health.h"

/* What tells one life of the machine from another: read once, at the start. */
#define GPU_BOOT_MAX 64
void gpu_marks_boot(char out[GPU_BOOT_MAX]);

/* Makes bad what the file says is bad; returns a bit for each unit. No file marks nobody. ERR_IO.
 */
int gpu_marks_read(const char *data_dir, const char *boot, struct gpu_board *board, uint64_t now_ns,
                   uint64_t *ret_marked, struct error *err);

/* Replaces the file by what is bad on the board; nobody is no file. ERR_IO, ERR_MEMORY. */
int gpu_marks_write(const char *data_dir, const char *boot, const struct gpu_board *board,
                    struct error *err);

#endif
