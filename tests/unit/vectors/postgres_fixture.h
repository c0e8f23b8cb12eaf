/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_fixture: a real PostgreSQL server with pgvector for the length of a test program: in a
 * folder of its own, reached through a socket in it. Its programs are those of the Python package
 * pgserver (scripts/get-postgres puts them into .cache/postgres), or where ARGOSY_POSTGRES_DIR
 * says.
 */
#ifndef ARGOSY_TESTS_POSTGRES_FIXTURE_H
#define ARGOSY_TESTS_POSTGRES_FIXTURE_H

#include <stdbool.h>

/* Starts a server, which asks for a password; its address is a connection URI. False where there is
 * none to start: the test is to be skipped, the reason is printed. */
bool postgres_start(char *ret_address, unsigned long address_size);
const char *postgres_password_file(void);
void postgres_stop(void);

/* Ends it as a crash does (SIGQUIT: no checkpoint, connections cut); starts it again. */
void postgres_crash(void);
void postgres_resume(void);

/* Runs a statement; fails the test where that fails. */
void postgres_run_sql(const char *address, const char *sql);

#endif
