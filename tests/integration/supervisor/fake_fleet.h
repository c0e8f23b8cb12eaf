/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_fleet: the real supervisor over fake children (fake_child.c), in a folder of its own.
 *
 * Every fake child reports to one FIFO; tests wait for its lines, never for time. The fake link
 * gives the orders that it is told over another. One fleet at a time.
 */
#ifndef ARGOSY_TESTS_INTEGRATION_SUPERVISOR_FAKE_FLEET_H
#define ARGOSY_TESTS_INTEGRATION_SUPERVISOR_FAKE_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FAKE_FLEET_WAIT_MS 20000

extern pid_t fake_fleet_pid; /* the supervisor; 0: none */

int fake_fleet_set_up(void **state);
int fake_fleet_tear_down(void **state);

/* A path in the fleet's folder. */
void fake_fleet_path(const char *name, char *out, size_t size);

/* Writes the configuration file. */
void fake_fleet_config(const char *config);

/* Writes it and starts the supervisor. */
void fake_fleet_start(const char *config);

/* The same with flags of clone(2). False where the system does not let us. */
bool fake_fleet_clone(const char *config, unsigned long flags);

/* Waits for a line that begins with prefix, drops it and returns its process id, if any; *ret_line
 * (may be NULL) gets the whole line. Lines that came before it stay. */
pid_t fake_fleet_wait(const char *prefix, char ret_line[512]);

/* Whether a line with that prefix has come already. */
bool fake_fleet_has(const char *prefix);

/* Waits for a line that begins with prefix, and tells whether it came before any that begins with
 * other. Drops none. */
bool fake_fleet_comes_before(const char *prefix, const char *other);

/* Forgets all lines that came. */
void fake_fleet_forget(void);

/* Has the link give the order "OPERATION TARGET COUNT KEEP" ("-" for no target); what the
 * supervisor answers is a line "link answer PID CODE TEXT". */
void fake_fleet_order(const char *text);

/* Waits until the supervisor has ended; its exit code. */
int fake_fleet_wait_exit(void);

/* Waits until that process, which is no child of ours, has ended. */
void fake_fleet_wait_end(pid_t pid);

/* Whether the supervisor's standard error has the text by now. */
bool fake_fleet_has_output(const char *text);

/* Copies that to ours: for a test that is about to fail. */
void fake_fleet_show(void);

/* How many descriptors the supervisor has open. */
int fake_fleet_descriptors(void);

/* Waits until it has no more than most: readiness pipes, pipes of those on their way out, and what
 * a death is written down with are open for a moment. A leak is open for ever. */
void fake_fleet_wait_descriptors(int most);

#endif
