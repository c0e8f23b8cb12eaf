/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repin: puts a running process on other processors (docs/spec/04-supervision.md, section
 * "Placement"), after the cpuset or the plan changed. Memory that it has stays where it is, and so
 * does its memory binding.
 *
 * Threading: no state. The caller has not reaped the process, so that its number is its own. It
 * reads /proc and does not block.
 */
#ifndef ARGOSY_SUPERVISOR_REPIN_H
#define ARGOSY_SUPERVISOR_REPIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "supervisor/placement/placement.h"

/* Puts all threads of the process, and those they start meanwhile, on pin's processors; with a pin
 * that is not enforced these are all that the fleet may use. *ret_moved: some were elsewhere; set
 * on failure, too. ERR_NOT_FOUND when the process has ended; ERR_PERMISSION or ERR_IO for what the
 * kernel refuses: threads before that one have moved.
 */
int repin(pid_t pid, const struct placement_pin *pin, bool *ret_moved, struct error *err);

#endif
