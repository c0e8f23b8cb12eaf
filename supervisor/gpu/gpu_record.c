/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_record: see gpu_record.h. */
#include "supervisor/gpu/gpu_record.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FIGURES_ALL ((UINT64_C(1) << GPU_FIGURE_COUNT) - 1)

/* Ends within its field and can stand in a log line, a label and a file. */
static bool is_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.:/", text[i]) == NULL)
            return false;
    }
    return length < size;
}

static bool is_identity(const struct gpu_identity *identity)
{
    bool is_somebody =
        identity->uuid[0] != '\0' || identity->bus_id[0] != '\0' || identity->minor >= 0;
    return is_somebody && is_text(identity->uuid, sizeof identity->uuid) &&
           is_text(identity->bus_id, sizeof identity->bus_id);
}

bool gpu_record_read(const void *data, size_t size, struct gpu_record *ret_record)
{
    struct gpu_record record;
    if (size != sizeof record)
        return false;
    memcpy(&record, data, sizeof record);
    bool is_figures = record.kind == GPU_RECORD_FIGURES && record.event == 0 && record.xid == 0;
    bool is_event = record.kind == GPU_RECORD_EVENT && record.event >= GPU_EVENT_XID &&
                    record.event <= GPU_EVENT_RESET && record.known == 0;
    if ((!is_figures && !is_event) || (record.known & ~FIGURES_ALL) != 0 ||
        !is_identity(&record.identity))
        return false;
    for (int i = 0; i < GPU_FIGURE_COUNT; i++) {
        if ((record.known >> i & 1) == 0 && record.figures[i] != 0)
            return false;
    }
    *ret_record = record;
    return true;
}

void gpu_record_set(struct gpu_record *record, enum gpu_figure figure, uint64_t value)
{
    record->known |= UINT64_C(1) << figure;
    record->figures[figure] = value;
}

void gpu_bus_id_copy(const char *text, char *out, size_t size)
{
    const char *colon = strchr(text, ':');
    /* The driver's files have a domain of four digits, NVML one of eight. */
    if (colon != NULL && colon - text == 8 && strncmp(text, "0000", 4) == 0)
        text += 4;
    snprintf(out, size, "%s", text);
    for (char *at = out; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
}
