/* SPDX-License-Identifier: Apache-2.0 */
/* codec_config: the codecs of a fleet's config file (include/argosy/codec.h). */
#include <string.h>

#include "common/fleet_config.h"
#include "sdk/error.h"
#include "sdk/payload_codec.h"

static int add_codec(struct argosy_codecs *codecs, const struct fleet_codec *codec,
                     struct argosy_error *err)
{
    if (strcmp(codec->name, FLEET_CODEC_ZSTD) == 0)
        return argosy_codecs_add_zstd(
            codecs,
            &(struct argosy_zstd_options){.level = codec->level,
                                          .min_size = (size_t)codec->min_size},
            err);
    return argosy_codecs_add_aes_gcm(codecs, codec->key_files, codec->key_file_count, err);
}

int argosy_codecs_load(const char *config_file, struct argosy_codecs **ret_codecs,
                       struct argosy_error *err)
{
    struct fleet_config *config;
    int code = fleet_config_load(config_file, &config, error_inside(err));
    if (code < 0)
        return code;
    struct argosy_codecs *codecs = argosy_codecs_create();
    if (codecs == NULL)
        code = argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    for (size_t i = 0; code == 0 && i < config->codec_count; i++)
        code = add_codec(codecs, &config->codecs[i], err);
    fleet_config_destroy(config);
    if (code == 0)
        *ret_codecs = codecs;
    else
        argosy_codecs_destroy(codecs);
    return code;
}
