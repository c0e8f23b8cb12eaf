/* SPDX-License-Identifier: Apache-2.0 */
/* argosy: the command line tool. Everything is in command.h. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return command_main(argc, (const char *const *)argv);
}
