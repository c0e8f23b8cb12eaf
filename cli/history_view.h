/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_view: a run's event history as a table: id, time, event, and what matters of it: which
 * activity, which attempt, which process ("pid@host#group"), what came out.
 *
 * What is shown of each type of event is one table of rows; an event without rows shows none.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_HISTORY_VIEW_H
#define ARGOSY_CLI_HISTORY_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"

/* Values longer than this are cut in the table, unless all is asked for. */
#define HISTORY_VALUE_WIDTH 60

/* Prints the table of {"events": [...]}. full: values are not cut. */
int history_print(const json_t *history, bool full, FILE *out, struct error *err);

/* Appends the details of one event; activities are looked up in history by their event ids. */
void history_details(const json_t *history, const json_t *event, bool full, struct buffer *out);

/* "ActivityTaskScheduled" of an event, appended to out. */
void history_event_type(const json_t *event, struct buffer *out);

#endif
