/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_server: the server of postgres_fixture.h for scripts: prints the path of its password,
 * beside which its socket is, and runs until standard input ends. Exit status 77: there is no
 * server. */
#include "tests/unit/vectors/postgres_fixture.h"

#include <stdio.h>

#include "tests/test.h"

int main(void)
{
    char address[256];
    if (!postgres_start(address, sizeof address))
        return 77;
    printf("%s\n", postgres_password_file());
    fflush(stdout);
    while (getchar() != EOF)
        ;
    postgres_stop();
    return 0;
}
