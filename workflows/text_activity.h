/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_activity: the CPU activities of the shipped workflows: checking and cleaning texts by the
 * rules of text.h. Each takes one JSON argument and gives one JSON result:
 *
 *     validate_input    text, or {"text", "model"} -> the same
 *     preprocess        text -> its clean form; an object keeps its model
 *     preprocess_batch  [text ...] -> the clean forms of those that are not blank
 *
 * All failures are non-retryable application failures, since the same input fails again:
 *
 *     EmptyInput      "Input text is empty"             blank (text.h)
 *     InputTooLong    "Input text exceeds token limit"  over TEXT_LENGTH_MAX code points; details
 *                                                       {"length": n}, in a batch also "index"
 *     InvalidInput    not a text or a list of texts, an unknown member, not JSON, not UTF-8:
 *                     what was expected and what came, or where it is wrong
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_TEXT_ACTIVITY_H
#define ARGOSY_WORKFLOWS_TEXT_ACTIVITY_H

#include <argosy/activity.h>

/* The documented bound; BERT-family models see at most their first 512 tokens of it. */
#define TEXT_LENGTH_MAX 10000

argosy_activity_function validate_input;
argosy_activity_function preprocess;
argosy_activity_function preprocess_batch;

/* What the activities do, on a payload: results and failures live in arena. */
int text_validate(const struct argosy_payload *input, struct argosy_arena *arena,
                  struct argosy_payload *ret_result, struct argosy_error *err);
int text_preprocess(const struct argosy_payload *input, struct argosy_arena *arena,
                    struct argosy_payload *ret_result, struct argosy_error *err);
int text_preprocess_batch(const struct argosy_payload *input, struct argosy_arena *arena,
                          struct argosy_payload *ret_result, struct argosy_error *err);

#endif
