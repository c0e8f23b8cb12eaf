/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vector_filter: up to the first NUL the input is a filter, after it metadata. Both are
 * refused with a reason, or the filter can be asked about the metadata, whose canonical form reads
 * as itself. */
#include <string.h>

#include "common/assert.h"
#include "storage/vectors/vector_filter.h"
#include "storage/vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct vector_filter *filter, const char *metadata, struct arena *arena)
{
    const char *canonical, *again;
    struct error err = {0};
    if (vector_metadata_read(metadata, arena, &canonical, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    ASSERT(vector_metadata_read(canonical, arena, &again, &err) == 0);
    ASSERT((canonical == NULL) == (again == NULL));
    ASSERT(canonical == NULL || strcmp(canonical, again) == 0);
    struct buffer packed = {0};
    ASSERT(vector_metadata_pack(canonical, &packed, &err) == 0);
    const struct vector_packed view = {packed.data, packed.size}, none = {NULL, 0};
    bool of_chunk = vector_filter_accepts(filter, "document", none, view);
    bool of_document = vector_filter_accepts(filter, "document", view, none);
    ASSERT(of_chunk == of_document);
    ASSERT(!of_chunk || vector_filter_accepts_document(filter, "document"));
    buffer_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err = {0};
    const struct vector_filter *filter;
    arena_init(&arena, 64u << 20);
    const char *text = arena_strndup(&arena, size > 0 ? (const char *)data : "", size);
    ASSERT(text != NULL);
    size_t length = strlen(text);
    const char *metadata = length < size ? text + length + 1 : "{}";
    if (vector_filter_parse(text, &arena, &filter, &err) == 0)
        ask(filter, metadata, &arena);
    else
        ASSERT(err.text[0] != '\0');
    arena_fini(&arena);
    return 0;
}
