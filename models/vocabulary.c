/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary: see vocabulary.h. */
#include "models/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "models/tokenizer.h"

#define CONTINUATION_MARK   "##"
#define CONTINUATION_LENGTH 2

/* FNV-1a: one multiplication a byte, and the hash of each prefix on the way. */
#define HASH_WORD         UINT32_C(2166136261)
#define HASH_CONTINUATION UINT32_C(0x9e3779b9)
#define HASH_PRIME        UINT32_C(16777619)

struct slot {
    uint32_t hash;
    uint32_t token; /* id + 1; 0: free */
};

struct token {
    uint32_t offset; /* into text, continuation mark skipped */
    uint8_t length;
    bool is_continuation;
};

struct vocabulary {
    uint8_t *text;
    struct token *tokens; /* by id */
    uint32_t count;
    size_t length_max[2]; /* longest word-start token, longest continuation */
    struct slot *slots;
    uint32_t slot_mask;
};

static inline uint32_t hash_step(uint32_t hash, uint8_t byte)
{
    return (hash ^ byte) * HASH_PRIME;
}

/* FNV's low bits are weak for short keys: fold the high ones in before masking. */
static inline uint32_t hash_slot(const struct vocabulary *vocabulary, uint32_t hash)
{
    return (hash ^ hash >> 15) & vocabulary->slot_mask;
}

static inline uint32_t hash_seed(bool is_continuation)
{
    return is_continuation ? HASH_CONTINUATION : HASH_WORD;
}

static uint32_t hash_bytes(const uint8_t *bytes, size_t size, bool is_continuation)
{
    uint32_t hash = hash_seed(is_continuation);
    for (size_t i = 0; i < size; i++)
        hash = hash_step(hash, bytes[i]);
    return hash;
}

static int32_t find(const struct vocabulary *vocabulary, uint32_t hash, const uint8_t *bytes,
                    size_t size, bool is_continuation)
{
    for (uint32_t at = hash_slot(vocabulary, hash);; at = (at + 1) & vocabulary->slot_mask) {
        const struct slot *slot = &vocabulary->slots[at];
        if (slot->token == 0)
            return -1;
        if (slot->hash != hash)
            continue;
        const struct token *token = &vocabulary->tokens[slot->token - 1];
        if (token->length == size && token->is_continuation == is_continuation &&
            memcmp(vocabulary->text + token->offset, bytes, size) == 0)
            return (int32_t)(slot->token - 1);
    }
}

int32_t vocabulary_match(const struct vocabulary *vocabulary, const uint8_t *word, size_t size,
                         bool is_continuation, size_t *ret_length)
{
    uint32_t hashes[VOCABULARY_TOKEN_MAX];
    size_t longest = vocabulary->length_max[is_continuation];
    if (size < longest)
        longest = size;
    uint32_t hash = hash_seed(is_continuation);
    for (size_t i = 0; i < longest; i++)
        hashes[i] = hash = hash_step(hash, word[i]);
    for (size_t length = longest; length > 0; length--) {
        int32_t id = find(vocabulary, hashes[length - 1], word, length, is_continuation);
        if (id >= 0) {
            *ret_length = length;
            return id;
        }
    }
    return -1;
}

int32_t vocabulary_id(const struct vocabulary *vocabulary, const char *token)
{
    const uint8_t *bytes = (const uint8_t *)token;
    size_t size = strlen(token);
    bool is_continuation =
        size > CONTINUATION_LENGTH && memcmp(bytes, CONTINUATION_MARK, CONTINUATION_LENGTH) == 0;
    if (is_continuation) {
        bytes += CONTINUATION_LENGTH;
        size -= CONTINUATION_LENGTH;
    }
    return find(vocabulary, hash_bytes(bytes, size, is_continuation), bytes, size, is_continuation);
}

uint32_t vocabulary_count(const struct vocabulary *vocabulary)
{
    return vocabulary->count;
}

static bool is_utf8(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length = utf8proc_iterate(bytes, (utf8proc_ssize_t)size, &point);
        if (length <= 0)
            return false;
        bytes += length;
        size -= (size_t)length;
    }
    return true;
}

/* Takes the line [begin, begin + size) as the token with the next id. */
static int add_token(struct vocabulary *vocabulary, uint32_t begin, size_t size, const char *name,
                     struct error *err)
{
    const uint8_t *bytes = vocabulary->text + begin;
    uint32_t line = vocabulary->count + 1;
    if (size == 0 || size > VOCABULARY_TOKEN_MAX)
        return error_set(err, ERR_CORRUPT, "%s:%u: a token of %zu bytes (1 to %d are allowed)",
                         name, line, size, VOCABULARY_TOKEN_MAX);
    if (!is_utf8(bytes, size))
        return error_set(err, ERR_CORRUPT, "%s:%u: the token is not UTF-8", name, line);
    bool is_continuation =
        size > CONTINUATION_LENGTH && memcmp(bytes, CONTINUATION_MARK, CONTINUATION_LENGTH) == 0;
    uint32_t mark = is_continuation ? CONTINUATION_LENGTH : 0;
    struct token *token = &vocabulary->tokens[vocabulary->count];
    *token = (struct token){begin + mark, (uint8_t)(size - mark), is_continuation};
    bytes += mark;
    uint32_t hash = hash_bytes(bytes, token->length, is_continuation);
    if (find(vocabulary, hash, bytes, token->length, is_continuation) >= 0)
        return error_set(err, ERR_CORRUPT, "%s:%u: the token \"%.*s\" is there twice", name, line,
                         (int)size, vocabulary->text + begin);
    uint32_t at = hash_slot(vocabulary, hash);
    while (vocabulary->slots[at].token != 0)
        at = (at + 1) & vocabulary->slot_mask;
    vocabulary->slots[at] = (struct slot){hash, ++vocabulary->count};
    if (token->length > vocabulary->length_max[is_continuation])
        vocabulary->length_max[is_continuation] = token->length;
    return 0;
}

static uint32_t count_lines(const char *text, size_t size)
{
    uint32_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n' || i + 1 == size;
    return lines;
}

static int add_tokens(struct vocabulary *vocabulary, size_t size, const char *name,
                      struct error *err)
{
    size_t begin = 0;
    while (begin < size) {
        const uint8_t *line = vocabulary->text + begin;
        const uint8_t *newline = memchr(line, '\n', size - begin);
        size_t length = newline != NULL ? (size_t)(newline - line) : size - begin;
        size_t trimmed = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
        int code = add_token(vocabulary, (uint32_t)begin, trimmed, name, err);
        if (code != 0)
            return code;
        begin += length + 1;
    }
    return 0;
}

int vocabulary_create(const char *text, size_t size, const char *name,
                      struct vocabulary **ret_vocabulary, struct error *err)
{
    uint32_t lines = size <= TOKENIZER_VOCAB_SIZE_MAX ? count_lines(text, size) : UINT32_MAX;
    if (lines == 0 || lines > TOKENIZER_VOCAB_COUNT_MAX)
        return error_set(err, ERR_CORRUPT,
                         "%s: a vocabulary has 1 to %u tokens in at most %u bytes", name,
                         TOKENIZER_VOCAB_COUNT_MAX, TOKENIZER_VOCAB_SIZE_MAX);
    uint32_t slot_count = 4;
    while (slot_count < 2 * lines) /* at most half full */
        slot_count *= 2;
    struct vocabulary *vocabulary = calloc(1, sizeof *vocabulary);
    if (vocabulary == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    vocabulary->slot_mask = slot_count - 1;
    vocabulary->slots = calloc(slot_count, sizeof *vocabulary->slots);
    vocabulary->tokens = calloc(lines, sizeof *vocabulary->tokens);
    vocabulary->text = malloc(size);
    int code;
    if (vocabulary->slots == NULL || vocabulary->tokens == NULL || vocabulary->text == NULL) {
        code = error_set(err, ERR_MEMORY, "out of memory");
    } else {
        memcpy(vocabulary->text, text, size);
        code = add_tokens(vocabulary, size, name, err);
    }
    if (code != 0) {
        vocabulary_destroy(vocabulary);
        return code;
    }
    *ret_vocabulary = vocabulary;
    return 0;
}

void vocabulary_destroy(struct vocabulary *vocabulary)
{
    if (vocabulary == NULL)
        return;
    free(vocabulary->slots);
    free(vocabulary->tokens);
    free(vocabulary->text);
    free(vocabulary);
}
