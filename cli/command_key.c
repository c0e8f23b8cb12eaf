/* SPDX-License-Identifier: Apache-2.0 */
/* command_key: `argosy key create`: CURVE keys of tcp (docs/spec/01-wire.md, section 2), and keys
 * that encrypt payloads (docs/codecs.md). */
#include <argosy/codec.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "queues/curve_key.h"

static const struct option key_options[] = {
    {"codec", NULL, 0, OPTION_FLAG, NULL, "a key that encrypts payloads, instead of a CURVE pair",
     NULL},
    {"id", NULL, 0, OPTION_TEXT, "NAME", "with --codec: the key's id (a random one)", NULL},
    {0},
};

static int codec_key_create(const struct invocation *invocation, const char *path,
                            struct error *err)
{
    char id[ARGOSY_CODEC_KEY_ID_SIZE];
    struct argosy_error why = {0};
    int code = argosy_codec_key_create(path, parsed_text(&invocation->parsed, "id"), id, &why);
    if (code != 0)
        return error_set(err, code, "%s", why.text);
    if (invocation->json)
        return output_json(json_pack("{s:s, s:s}", "keyFile", path, "keyId", id), err);
    printf("%s: key \"%s\", for those alone who may read the payloads\n", path, id);
    return 0;
}

static int curve_pair_create(const struct invocation *invocation, const char *path,
                             struct error *err)
{
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

static int key_create(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (parsed->argument_count == 0)
        return command_usage(invocation, "the file's name is missing");
    bool is_codec = parsed_has(parsed, "codec");
    if (!is_codec && parsed_has(parsed, "id"))
        return command_usage(invocation, "--id goes with --codec");
    return (is_codec ? codec_key_create : curve_pair_create)(invocation, parsed->arguments[0], err);
}

const struct command command_key_create = {
    .name = "key create",
    .summary = "make a CURVE key pair for tcp, or a key that encrypts payloads",
    .arguments = "FILE",
    .arguments_max = 1,
    .about =
        "Writes FILE (both keys, mode 600) and FILE.pub. Files that exist are left alone.\n"
        "The engine's pair is engine.server_key_file of its config; its .pub is\n"
        "engine.server_public_key_file of everybody else's. A client's pair is its\n"
        "engine.client_key_file; the engine admits it while a copy of its .pub is in\n"
        "engine.authorized_keys_dir.\n"
        "With --codec, FILE is one key of codec aes-gcm, for key_files of the config's section\n"
        "codecs. Keep a copy: what it encrypted cannot be read without it.",
    .example = "argosy key create engine.key\n"
               "argosy key create --codec payloads.key",
    .options = {{key_options, common_options}},
    .run = key_create,
};
