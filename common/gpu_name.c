/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_name: see gpu_name.h. */
#include "common/gpu_name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UUID_CHARACTERS "0123456789abcdefABCDEF-"
/* MIG-GPU-<uuid>/<GPU instance>/<compute instance>, as drivers before 470 named slices. */
#define SLICE_CHARACTERS UUID_CHARACTERS "GPU/"

struct bus_id {
    unsigned domain, bus, device, function;
};

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 3 && text[digits] == '\0';
}

/* "[domain:]bus:device[.function]", hexadecimal. */
static bool parse_bus_id(const char *text, struct bus_id *ret_id)
{
    struct bus_id id = {0};
    int end = -1;
    if (text[strspn(text, "0123456789abcdefABCDEF:.")] != '\0')
        return false;
    const char *first = strchr(text, ':');
    bool has_domain = first != NULL && strchr(first + 1, ':') != NULL;
    const char *rest = text;
    if (has_domain) {
        if (sscanf(text, "%8x:%n", &id.domain, &end) != 1 || end < 0)
            return false;
        rest = text + end;
        end = -1;
    }
    if (sscanf(rest, "%2x:%2x%n", &id.bus, &id.device, &end) != 2 || end < 0)
        return false;
    rest += end;
    if (*rest != '\0') {
        end = -1;
        if (sscanf(rest, ".%1x%n", &id.function, &end) != 1 || end < 0 || rest[end] != '\0')
            return false;
    }
    *ret_id = id;
    return true;
}

const char *gpu_name_check(const char *text)
{
    struct bus_id id;
    bool is_uuid = has_prefix(text, "GPU-") && text[4] != '\0' &&
                   text[4 + strspn(text + 4, UUID_CHARACTERS)] == '\0';
    bool is_slice = gpu_name_is_slice(text) && text[4] != '\0' &&
                    text[4 + strspn(text + 4, SLICE_CHARACTERS)] == '\0';
    if (strlen(text) >= sizeof((struct hardware_gpu *)NULL)->uuid)
        return "is longer than a GPU's name";
    if (is_uuid || is_slice || is_number(text) || parse_bus_id(text, &id))
        return NULL;
    return "is no GPU (GPU-<uuid>, MIG-<uuid>, a PCI bus id like 3b:00.0, or a number)";
}

bool gpu_name_means(const char *name, const struct hardware_gpu *gpu)
{
    struct bus_id wanted, own;
    if (is_number(name))
        return gpu->ordinal == atoi(name);
    if (parse_bus_id(name, &wanted))
        return parse_bus_id(gpu->bus_id, &own) && memcmp(&wanted, &own, sizeof own) == 0;
    return strcasecmp(name, gpu->uuid) == 0;
}

bool gpu_name_is_slice(const char *name)
{
    return has_prefix(name, "MIG-");
}
