/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_activity: the steps of SearchWorkflow that ask storage. Failures that are not tried again
 * have the type SearchRefused: no such collection (the nearest is named), a malformed filter.
 *
 *     find_collection   {"collection"} -> {"model", "dimension"}
 *     search_vectors    {"collection", "model", "k", "filter"}, the question's vector as
 *                       little-endian fp32 -> [{"document_id", "ordinal", "score", "text",
 *                       "metadata"} ...], best first
 *
 * user_data is a struct shipped_context. Threading: any thread; several at once.
 */
#ifndef ARGOSY_WORKFLOWS_SEARCH_ACTIVITY_H
#define ARGOSY_WORKFLOWS_SEARCH_ACTIVITY_H

#include <argosy/activity.h>

#define ACTIVITY_FIND_COLLECTION "find_collection"
#define ACTIVITY_SEARCH_VECTORS  "search_vectors"

#define FAILURE_SEARCH_REFUSED "SearchRefused"

argosy_activity_function find_collection;
argosy_activity_function search_vectors;

#endif
