/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_document: any bytes read as plain text, Markdown or HTML (the first byte chooses) are
 * refused or give valid UTF-8 without NUL, with headings that stand in it where they say. HTML ends
 * in time and in little memory whatever its tags do. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "common/utf8.h"
#include "workflows/ingest/document_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct buffer text;
    uint64_t heading_offset; /* of the last heading, whose text has not come yet */
    size_t heading_size;
    char heading[DOCUMENT_HEADING_MAX];
};

static int take_text(void *context, const char *text, size_t size, struct error *err)
{
    (void)err;
    struct reading *reading = context;
    ASSERT(utf8_is_valid(text, size) && memchr(text, '\0', size) == NULL);
    buffer_append(&reading->text, text, size);
    return 0;
}

static int take_heading(void *context, uint64_t offset, const char *title, size_t size,
                        struct error *err)
{
    (void)err;
    struct reading *reading = context;
    ASSERT(offset >= reading->text.size && offset >= reading->heading_offset);
    ASSERT(size > 0 && size <= DOCUMENT_HEADING_MAX);
    reading->heading_offset = offset;
    reading->heading_size = size;
    memcpy(reading->heading, title, size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static const enum document_type types[] = {DOCUMENT_HTML, DOCUMENT_PLAIN, DOCUMENT_MARKDOWN};
    enum document_type type = types[data[0] % 3];
    int fd = memfd_create("document", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    struct reading reading = {0};
    struct error err;
    int code = document_text_load(
        fd, type,
        &(struct document_sink){.text = take_text, .heading = take_heading, .context = &reading},
        &err);
    ASSERT(code == 0 || code == ERR_INVALID || code == ERR_RANGE || code == ERR_UNSUPPORTED);
    if (code == 0 && reading.heading_size > 0)
        ASSERT(memmem(reading.text.data + reading.heading_offset,
                      reading.text.size - (size_t)reading.heading_offset, reading.heading,
                      reading.heading_size) != NULL);
    close(fd);
    buffer_fini(&reading.text);
    return 0;
}
