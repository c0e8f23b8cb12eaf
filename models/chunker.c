/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunker: see chunker.h. The text is read as units: a word with the white space behind it. A
 * window of units grows until one more does not fit; then an end is chosen among them, the chunk is
 * told, and the window goes on behind it, less what the next chunk repeats.
 *
 *     text    |word |word. |word |word.\n\n|word |word |
 *     window  0     1      2     3         4     5  <- does not fit
 *             ~~~~~~~~~~~~ repeated: units before `fresh` were in the chunk before
 *
 * Tokens of units add up to tokens of the chunk, because the tokenizer ends a word wherever one
 * unit ends (tokenizer_classify), with one exception: a unit that is a piece of a longer word
 * (UNIT_CUT) and the next one. So such a unit always ends its chunk, and no overlap goes back
 * over it.
 */
#include "models/chunker.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "common/utf8.h"

/* What stands at a unit's end, the better place to end a chunk the larger. */
enum unit_end { UNIT_CUT, UNIT_WORD, UNIT_SENTENCE, UNIT_PARAGRAPH };

struct unit {
    uint32_t size; /* bytes, white space behind the word included */
    uint32_t token_count;
    enum unit_end end;
};

struct chunker {
    /* configuration */
    const struct tokenizer *tokenizer;
    struct chunker_options options;

    /* text: data[head] is the window's first byte, and stands at offset of the whole */
    struct buffer text;
    size_t head;
    uint64_t offset;
    bool is_ended;

    /* window */
    struct unit *units; /* [size_max + 1]: each has a byte at least, and all but the last fit */
    size_t unit_count;
    size_t fresh;         /* units before this one were told already */
    size_t told;          /* units of the chunk that was told last; 0: none waits to be dropped */
    uint64_t token_count; /* of all units */
    size_t size;          /* of all units */

    int32_t *ids; /* [token_max + 3]: one more than fits, [CLS] and [SEP] */
};

int chunker_create(const struct tokenizer *tokenizer, const struct chunker_options *options,
                   struct chunker **ret_chunker, struct error *err)
{
    if (options->token_max < CHUNK_TOKENS_MIN || options->token_max > CHUNK_TOKENS_MAX)
        return error_set(err, ERR_INVALID, "a chunk must have %u to %u tokens, not %u",
                         CHUNK_TOKENS_MIN, CHUNK_TOKENS_MAX, options->token_max);
    if (options->overlap_max > options->token_max / 2)
        return error_set(err, ERR_INVALID,
                         "the overlap must be at most half of a chunk's %u tokens, not %u",
                         options->token_max, options->overlap_max);
    if (options->size_max < CHUNK_SIZE_MIN || options->size_max > CHUNK_SIZE_MAX)
        return error_set(err, ERR_INVALID, "a chunk must have %u to %u bytes, not %zu",
                         CHUNK_SIZE_MIN, CHUNK_SIZE_MAX, options->size_max);
    struct chunker *chunker = calloc(1, sizeof *chunker);
    if (chunker == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    chunker->tokenizer = tokenizer;
    chunker->options = *options;
    chunker->units = malloc((options->size_max + 1) * sizeof *chunker->units);
    chunker->ids = malloc((options->token_max + 3) * sizeof *chunker->ids);
    if (chunker->units == NULL || chunker->ids == NULL) {
        chunker_destroy(chunker);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_chunker = chunker;
    return 0;
}

void chunker_destroy(struct chunker *chunker)
{
    if (chunker == NULL)
        return;
    buffer_fini(&chunker->text);
    free(chunker->units);
    free(chunker->ids);
    free(chunker);
}

/* ---- units ---- */

/* Where the scan of one unit stands. */
struct scan {
    const char *text;
    size_t available; /* bytes that may be read, at most the chunk's bound */
    bool is_bounded;  /* the text goes on behind `available`, but this unit may not */
    bool is_ended;    /* nothing comes behind `available` */
    size_t size;      /* bytes read */
    size_t word_size; /* of the word, without white space */
    unsigned line_count;
    bool has_stop;  /* the word ends in a full stop, closing marks behind it */
    bool is_alone;  /* the word is an ideograph */
    bool is_closed; /* an ideographic stop: only closing marks may follow */
    bool is_cut;    /* the bound fell into the word */
};

enum scan_result { SCAN_POINT, SCAN_MORE, SCAN_END };

/* The next code point. MORE: the text read so far does not say; END: the unit ends here. */
static enum scan_result scan_point(struct scan *scan, uint32_t *ret_point, size_t *ret_size)
{
    size_t rest = scan->available - scan->size;
    if (rest == 0)
        return scan->is_ended || scan->is_bounded ? SCAN_END : SCAN_MORE;
    *ret_size = utf8_decode(scan->text + scan->size, rest, ret_point);
    if (*ret_size > 0)
        return SCAN_POINT;
    if (rest < 4 && !scan->is_ended) /* perhaps the beginning of one */
        return scan->is_bounded ? SCAN_END : SCAN_MORE;
    *ret_point = 0xfffd;
    *ret_size = 1;
    return SCAN_POINT;
}

static bool is_stop(uint32_t point)
{
    return point == '.' || point == '!' || point == '?' || point == 0x2026;
}

static bool is_ideographic_stop(uint32_t point)
{
    return point == 0x3002 || point == 0xff01 || point == 0xff1f || point == 0xff61;
}

/* Marks that belong to what stands before them: closing brackets and quotes, commas and stops. */
static bool is_closing(uint32_t point)
{
    switch (utf8proc_category((int32_t)point)) {
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return true;
    default:
        return false;
    }
}

/* Whether the point continues the word that was read so far; notes what it does to its end. */
static bool word_takes(struct scan *scan, uint32_t point, enum tokenizer_class class)
{
    if (class == TOKENIZER_SPACE)
        return false;
    if (scan->size == 0 && class == TOKENIZER_ALONE) {
        scan->is_alone = true;
        return true;
    }
    bool closing = is_closing(point);
    if (class == TOKENIZER_ALONE || ((scan->is_alone || scan->is_closed) && !closing))
        return false;
    scan->is_closed = scan->is_closed || is_ideographic_stop(point);
    scan->has_stop = is_stop(point) || is_ideographic_stop(point) || (scan->has_stop && closing);
    return true;
}

static bool is_line_end(uint32_t point)
{
    return point == '\n' || point == 0x2028;
}

/* Reads a word and the white space behind it. False: more text is needed. */
static bool unit_scan(const struct tokenizer *tokenizer, struct scan *scan)
{
    for (bool in_word = true;;) {
        uint32_t point;
        size_t size;
        enum scan_result result = scan_point(scan, &point, &size);
        if (result != SCAN_POINT) {
            scan->is_cut = in_word && scan->is_bounded;
            return result == SCAN_END;
        }
        enum tokenizer_class class = tokenizer_classify(tokenizer, point);
        in_word = in_word && word_takes(scan, point, class);
        if (!in_word && class != TOKENIZER_SPACE)
            return true;
        scan->size += size;
        if (in_word)
            scan->word_size = scan->size;
        else
            scan->line_count += point == 0x2029 ? 2 : is_line_end(point);
    }
}

static enum unit_end unit_end_of(const struct scan *scan)
{
    if (scan->is_cut)
        return UNIT_CUT;
    if (scan->line_count >= 2)
        return UNIT_PARAGRAPH;
    return scan->has_stop ? UNIT_SENTENCE : UNIT_WORD;
}

static uint32_t tokens_count(struct chunker *chunker, const char *text, size_t size)
{
    return tokenizer_encode(chunker->tokenizer, text, size, chunker->ids,
                            chunker->options.token_max + 3) -
           2;
}

/* Half of size, at a character's border. */
static size_t size_halve(const char *text, size_t size)
{
    size_t half = size / 2;
    while (half > 1 && ((uint8_t)text[half] & 0xc0) == 0x80)
        half--;
    return half;
}

/* Adds the unit behind the window to it. False when the text read so far has no whole unit. */
static bool window_grow(struct chunker *chunker)
{
    size_t rest = chunker->text.size - chunker->head - chunker->size;
    if (rest == 0)
        return false;
    size_t bound = chunker->options.size_max;
    struct scan scan = {
        .text = (const char *)chunker->text.data + chunker->head + chunker->size,
        .available = rest < bound ? rest : bound,
        .is_bounded = rest > bound,
        .is_ended = chunker->is_ended && rest <= bound,
    };
    if (!unit_scan(chunker->tokenizer, &scan))
        return false;
    struct unit unit = {.size = (uint32_t)scan.size, .end = unit_end_of(&scan)};
    unit.token_count = tokens_count(chunker, scan.text, scan.word_size);
    while (unit.token_count > chunker->options.token_max) {
        unit.size = (uint32_t)size_halve(scan.text, scan.word_size);
        unit.end = UNIT_CUT;
        scan.word_size = unit.size;
        unit.token_count = tokens_count(chunker, scan.text, scan.word_size);
    }
    chunker->units[chunker->unit_count++] = unit;
    chunker->token_count += unit.token_count;
    chunker->size += unit.size;
    return true;
}

/* ---- chunks ---- */

static bool window_fits(const struct chunker *chunker)
{
    return chunker->token_count <= chunker->options.token_max &&
           chunker->size <= chunker->options.size_max;
}

/* Grows the window until it says where the chunk can end; *ret_limit is the number of units that
 * fit. False: more text is needed, or there is none. */
static bool window_fill(struct chunker *chunker, size_t *ret_limit)
{
    for (;;) {
        if (!window_fits(chunker)) {
            *ret_limit = chunker->unit_count - 1;
            return true;
        }
        if (chunker->unit_count > 0 && chunker->units[chunker->unit_count - 1].end == UNIT_CUT) {
            *ret_limit = chunker->unit_count;
            return true;
        }
        if (!window_grow(chunker)) {
            *ret_limit = chunker->unit_count;
            return chunker->is_ended && chunker->unit_count > chunker->fresh;
        }
    }
}

static uint32_t tokens_sum(const struct unit *units, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += units[i].token_count;
    return sum;
}

/* How many of the window's first `limit` units the chunk takes: see chunker.h. */
static size_t chunk_end(const struct chunker *chunker, size_t limit)
{
    if (limit == chunker->unit_count)
        return limit; /* the rest of the text, or of a word's piece */
    uint32_t repeated = tokens_sum(chunker->units, chunker->fresh);
    uint32_t wanted = repeated + (chunker->options.token_max - repeated) / 2;
    size_t best = limit;
    enum unit_end best_end = UNIT_WORD;
    uint32_t tokens = tokens_sum(chunker->units, limit);
    for (size_t end = limit; end > chunker->fresh && tokens >= wanted; end--) {
        const struct unit *unit = &chunker->units[end - 1];
        if (unit->end > best_end) {
            best = end;
            best_end = unit->end;
        }
        tokens -= unit->token_count;
    }
    return best;
}

/* The unit with which the chunk after one of `end` units begins: at most overlap_max tokens before
 * its end, and so that the unit behind still fits. */
static size_t overlap_begin(const struct chunker *chunker, size_t end)
{
    const struct unit *units = chunker->units;
    if (end == chunker->unit_count || units[end - 1].end == UNIT_CUT)
        return end;
    uint32_t token_room = chunker->options.token_max - units[end].token_count;
    size_t size_room = chunker->options.size_max - units[end].size;
    if (token_room > chunker->options.overlap_max)
        token_room = chunker->options.overlap_max;
    size_t sentence = end, begin = end;
    while (begin > 1 && units[begin - 1].token_count <= token_room &&
           units[begin - 1].size <= size_room) {
        begin--;
        token_room -= units[begin].token_count;
        size_room -= units[begin].size;
        if (units[begin - 1].end >= UNIT_SENTENCE)
            sentence = begin;
    }
    return sentence < end ? sentence : begin;
}

/* Drops the chunk that was told, less what the next one repeats. */
static void window_advance(struct chunker *chunker)
{
    if (chunker->told == 0)
        return;
    size_t begin = overlap_begin(chunker, chunker->told);
    for (size_t i = 0; i < begin; i++) {
        chunker->head += chunker->units[i].size;
        chunker->offset += chunker->units[i].size;
        chunker->size -= chunker->units[i].size;
        chunker->token_count -= chunker->units[i].token_count;
    }
    chunker->unit_count -= begin;
    memmove(chunker->units, chunker->units + begin, chunker->unit_count * sizeof *chunker->units);
    chunker->fresh = chunker->told - begin;
    chunker->told = 0;
}

int chunker_add(struct chunker *chunker, const char *text, size_t size, struct error *err)
{
    ASSERT(!chunker->is_ended);
    window_advance(chunker);
    if (chunker->head > 0) {
        chunker->text.size -= chunker->head;
        memmove(chunker->text.data, chunker->text.data + chunker->head, chunker->text.size);
        chunker->head = 0;
    }
    buffer_append(&chunker->text, text, size);
    return chunker->text.failed ? error_set(err, ERR_MEMORY, "out of memory") : 0;
}

void chunker_end(struct chunker *chunker)
{
    chunker->is_ended = true;
}

bool chunker_next(struct chunker *chunker, struct chunk *ret_chunk)
{
    window_advance(chunker);
    size_t limit;
    if (!window_fill(chunker, &limit))
        return false;
    size_t end = chunk_end(chunker, limit);
    ASSERT(end > chunker->fresh);
    size_t size = 0;
    for (size_t i = 0; i < end; i++)
        size += chunker->units[i].size;
    chunker->told = end;
    *ret_chunk = (struct chunk){
        .text = (const char *)chunker->text.data + chunker->head,
        .size = size,
        .offset = chunker->offset,
        .token_count = tokens_sum(chunker->units, end),
    };
    return true;
}
