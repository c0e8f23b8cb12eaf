/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: what the shipped workflows mean by a character, a blank and a clean text.
 *
 * The rules are those of Python 3 on UTF-8, so that a service written in Python and this one agree:
 *   length   len(text): code points, nothing trimmed before counting.
 *   clean    " ".join(kept.split()).lower(), where kept is the text without its control (Cc) and
 *            format (Cf) characters. White space comes first: a tab or a line feed is a control
 *            character too, but it separates words and is not dropped. Lower-casing is Unicode's
 *            full mapping: a capital sigma that ends a word becomes the final sigma, and U+0130
 *            becomes two code points.
 *   blank    nothing is left after cleaning: white space, control and format characters alone.
 *
 * Unicode version: character properties are those of the installed utf8proc (2.7: 14.0, 2.8: 15.0).
 * Every code point assigned in Unicode 14.0 behaves as in Python 3.11, and Python 3.12 and 3.13
 * agree with it there (tests/golden/text_rules.py). A code point assigned later than the installed
 * utf8proc knows is kept as it is.
 *
 * A text may hold any byte, NUL included; it is not NUL-terminated. Bytes that are not UTF-8
 * (surrogates and overlong forms included) are ERR_INVALID with the offset of the first wrong byte.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_TEXT_H
#define ARGOSY_WORKFLOWS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

/* What validation wants to know of a text, in one pass. */
struct text_measure {
    size_t length; /* code points */
    bool blank;
};

int text_measure(const char *text, size_t size, struct text_measure *ret_measure,
                 struct error *err);

/* Appends the clean form of text to out; appends nothing when the text is blank. On failure
 * (ERR_INVALID, ERR_MEMORY) out's size is as before. */
int text_clean(const char *text, size_t size, struct buffer *out, struct error *err);

#endif
