/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fleet_config: any bytes are a configuration or an error; what is accepted prints to a text
 * that loads to the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/fleet_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hardware hardware = {.cpus = 4, .gpu_count = 2};
    struct fleet_config *config = NULL;
    struct error err = {0};
    int code =
        fleet_config_parse((const char *)data, size, "input", "/etc", &hardware, &config, &err);
    if (code != 0) {
        ASSERT(err.code == code && err.text[0] != '\0');
        return 0;
    }
    struct buffer first = {0};
    struct buffer second = {0};
    fleet_config_print(config, &first);
    struct fleet_config *again = NULL;
    code = fleet_config_parse((const char *)first.data, first.size, "printed", "/etc", &hardware,
                              &again, &err);
    if (code != 0) {
        fprintf(stderr, "%s\n%s", err.text, buffer_text(&first));
        abort();
    }
    fleet_config_print(again, &second);
    ASSERT(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    buffer_fini(&first);
    buffer_fini(&second);
    fleet_config_destroy(config);
    fleet_config_destroy(again);
    return 0;
}
