/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_chunker: any bytes, under any limits and in any pieces, become chunks that cover them in
 * order and keep the limits. The first four bytes choose limits and the size of the pieces. */
#include "models/chunker.h"

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n##a\n##b\nab\n.\n,\n1\n##1\n";

static struct tokenizer *tokenizer_get(void)
{
    static struct tokenizer *tokenizer;
    if (tokenizer == NULL)
        ASSERT(tokenizer_create(vocabulary, sizeof vocabulary - 1, "vocabulary", &TOKENIZER_UNCASED,
                                &tokenizer, NULL) == 0);
    return tokenizer;
}

/* Checks the chunks that are certain; *end is where the last one ended. */
static void chunks_check(struct chunker *chunker, const struct chunker_options *options,
                         uint64_t *end)
{
    int32_t ids[CHUNK_TOKENS_MIN + 256 + 3];
    struct chunk chunk;
    while (chunker_next(chunker, &chunk)) {
        ASSERT(chunk.size > 0 && chunk.size <= options->size_max);
        ASSERT(chunk.token_count <= options->token_max);
        ASSERT(chunk.offset <= *end && chunk.offset + chunk.size > *end);
        uint32_t count = tokenizer_encode(tokenizer_get(), chunk.text, chunk.size, ids,
                                          sizeof ids / sizeof ids[0]);
        ASSERT(count - 2 == chunk.token_count);
        *end = chunk.offset + chunk.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct chunker_options options = {.token_max = CHUNK_TOKENS_MIN + data[0],
                                      .size_max = CHUNK_SIZE_MIN + data[1]};
    options.overlap_max = data[2] % (options.token_max / 2 + 1);
    size_t piece = 1 + data[3];
    data += 4;
    size -= 4;
    struct chunker *chunker;
    ASSERT(chunker_create(tokenizer_get(), &options, &chunker, NULL) == 0);
    uint64_t end = 0;
    for (size_t at = 0; at < size; at += piece) {
        size_t count = size - at < piece ? size - at : piece;
        ASSERT(chunker_add(chunker, (const char *)data + at, count, NULL) == 0);
        chunks_check(chunker, &options, &end);
    }
    chunker_end(chunker);
    chunks_check(chunker, &options, &end);
    ASSERT(end == size);
    chunker_destroy(chunker);
    return 0;
}
