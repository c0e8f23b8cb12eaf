/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_fixture_none: what stands for postgres_fixture where libpq is missing. */
#include "tests/unit/vectors/postgres_fixture.h"

#include "tests/test.h"

bool postgres_start(char *ret_address, unsigned long address_size)
{
    (void)ret_address;
    (void)address_size;
    print_message("skipped: built without libpq\n");
    return false;
}

const char *postgres_password_file(void)
{
    return NULL;
}

void postgres_stop(void)
{
}

void postgres_crash(void)
{
    fail_msg("built without libpq");
}

void postgres_resume(void)
{
    fail_msg("built without libpq");
}

void postgres_run_sql(const char *address, const char *sql)
{
    fail_msg("built without libpq: %s on %s", sql, address);
}
