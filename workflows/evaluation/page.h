/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page: a report (report.h) as one HTML page that stands alone: no script, nothing fetched, light
 * and dark. Texts of the suite and names are shown, never interpreted.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_PAGE_H
#define ARGOSY_WORKFLOWS_EVALUATION_PAGE_H

#include <jansson.h>

#include "common/buffer.h"

/* Cases that are wrong and are shown; all are in the report. */
#define PAGE_WRONG_MAX 100u

/* Appends the page. What report lacks is left out. */
void page_write(const json_t *report, struct buffer *out);

#endif
