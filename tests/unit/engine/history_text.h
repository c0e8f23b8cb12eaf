/* SPDX-License-Identifier: Apache-2.0 */
/* history_text: an event as a line of text, so that tests state whole histories. */
#ifndef ARGOSY_TESTS_HISTORY_TEXT_H
#define ARGOSY_TESTS_HISTORY_TEXT_H

#include "api/messages.h"
#include "common/buffer.h"

/* "11 ActivityTaskStarted scheduled=10 attempt=1 by w1\n": id, type, and the attributes that rules
 * speak of; payloads as their bytes. */
void history_text_append(const Api__HistoryEvent *event, struct buffer *text);

#endif
