/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vocab: up to the first NUL the input is a vocabulary, after it a text. Either the vocabulary
 * is refused, or the text is cut into ids of it, between [CLS] and [SEP]. */
#include <string.h>

#include "common/assert.h"
#include "models/tokenizer.h"

#define CAPACITY 40

/* The three tokens every vocabulary needs, so that the fuzzer need not find them. */
static const char specials[] = "[UNK]\n[CLS]\n[SEP]\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    int32_t ids[CAPACITY];
    for (uint32_t capacity = 2; capacity <= CAPACITY; capacity += CAPACITY - 2) {
        uint32_t count = tokenizer_encode(tokenizer, text, size, ids, capacity);
        ASSERT(count >= 2 && count <= capacity);
        ASSERT(ids[0] == 1 && ids[count - 1] == 2);
        for (uint32_t i = 1; i + 1 < count; i++)
            ASSERT(ids[i] == 0 ||
                   (ids[i] > 2 && ids[i] < (int32_t)tokenizer_vocab_count(tokenizer)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char vocab[4096];
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t vocab_size = end != NULL ? (size_t)(end - data) : size;
    if (vocab_size > sizeof vocab - sizeof specials)
        return 0;
    memcpy(vocab, specials, sizeof specials - 1);
    if (vocab_size > 0)
        memcpy(vocab + sizeof specials - 1, data, vocab_size);
    struct tokenizer_options options = {size & 1, size & 2, size & 4};
    struct tokenizer *tokenizer;
    struct error err = {0};
    if (tokenizer_create(vocab, sizeof specials - 1 + vocab_size, "input", &options, &tokenizer,
                         &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return 0;
    }
    if (end != NULL)
        encode(tokenizer, (const char *)end + 1, size - vocab_size - 1);
    tokenizer_destroy(tokenizer);
    return 0;
}
