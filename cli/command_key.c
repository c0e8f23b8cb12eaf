/* SPDX-License-Identifier: Apache-2.0 */
/* command_key: `argosy key create`, the CURVE keys of tcp (docs/spec/01-wire.md, section 2). */
#include <string.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "queues/curve_key.h"

static int key_create(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the file's name is missing");
    const char *path = invocation->parsed.arguments[0];
    struct curve_key key;
    int code = curve_key_create(&key, err);
    if (code == 0)
        code = curve_key_write(&key, path, err);
    explicit_bzero(key.secret_key, sizeof key.secret_key);
    if (code != 0)
        return code;
    if (invocation->json)
        return output_json(json_pack("{s:s, s:s+, s:s}", "keyFile", path, "publicKeyFile", path,
                                     ".pub", "publicKey", key.public_key),
                           err);
    printf("%s: the key pair, for its owner alone\n%s.pub: the public key, to give away\n", path,
           path);
    return 0;
}

const struct command command_key_create = {
    .name = "key create",
    .summary = "make a CURVE key pair, for an engine or a client of it over tcp",
    .arguments = "FILE",
    .arguments_max = 1,
    .about = "Writes FILE (both keys, mode 600) and FILE.pub. Files that exist are left alone.\n"
             "The engine's pair is engine.server_key_file of its config; its .pub is\n"
             "engine.server_public_key_file of everybody else's. A client's pair is its\n"
             "engine.client_key_file; the engine admits it while a copy of its .pub is in\n"
             "engine.authorized_keys_dir.",
    .example = "argosy key create engine.key\n"
               "argosy key create node-2.key",
    .options = {{common_options}},
    .run = key_create,
};
