/* SPDX-License-Identifier: Apache-2.0 */
/*
 * download: one file by HTTPS.
 * Threading: any thread after the first call has returned (libcurl's global start).
 */
#ifndef ARGOSY_MODELS_DOWNLOAD_H
#define ARGOSY_MODELS_DOWNLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Called while bytes come. */
typedef void download_progress_fn(void *arg, uint64_t done_bytes);

/* Downloads url into a new file at path. Redirects are followed; https stays https (a url of plain
 * http, as of a mirror on the same machine, may be redirected to either). Stalled for 30 s is
 * failed. ERR_UNAVAILABLE with url and reason, ERR_LIMIT above size_max, ERR_IO. */
int download_file(const char *url, const char *path, size_t size_max,
                  download_progress_fn *progress, void *arg, uint64_t *ret_size, struct error *err);

#endif
