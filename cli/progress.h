/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: how far long work has come, on standard error; one way for all commands.
 *
 *   on a terminal    one line that is drawn again: embed [#####.....]  52%  1040/2000 texts  ...
 *   else             a plain line every five seconds: embed: 1040 of 2000 texts (52%), 310/s, ...
 *   --output json    nothing
 *
 *     struct progress progress;
 *     progress_open(&progress, invocation->json);
 *     progress_stage(&progress, "upload", "bytes");
 *     artifact_put_file(client, path, owner, progress_update, &progress, &artifact, err);
 *     progress_stage(&progress, "embed", "texts");
 *     while (...) progress_update(&progress, done, total);
 *     progress_close(&progress);
 *
 * Work shorter than a first interval shows nothing where there is no terminal. The rate is that of
 * the stage since its first update, so that what an earlier run did is not counted as speed.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_PROGRESS_H
#define ARGOSY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum progress_form { PROGRESS_SILENT, PROGRESS_LINES, PROGRESS_BAR };

#define PROGRESS_NAME_SIZE 48
#define PROGRESS_NOTE_SIZE 192

struct progress {
    /* configuration */
    FILE *out; /* borrowed */
    enum progress_form form;
    uint32_t columns; /* of the terminal; 0: ask it at every drawing */

    /* the stage */
    char stage[PROGRESS_NAME_SIZE];
    char unit[PROGRESS_NAME_SIZE];
    char note[PROGRESS_NOTE_SIZE];
    bool has_begun;      /* had an update */
    uint64_t begin_ns;   /* of the stage's first update, */
    uint64_t begin_done; /* and what was done by then */

    /* what is shown */
    uint64_t shown_ns;
    uint64_t shown_done, shown_total;
    bool is_shown; /* a line of this stage, or of the bar, stands there */
};

/* Shows on standard error, in the form that suits it; is_silent: nothing. */
void progress_open(struct progress *progress, bool is_silent);

/* The same in a form and on a file of the caller's choice. */
void progress_init(struct progress *progress, FILE *out, enum progress_form form, uint32_t columns);

/* What is done from now on, in one word, and what is counted: "texts"; "bytes" are shown as KiB,
 * MiB, GiB. Copied; calling it again with the same stage changes nothing. */
void progress_stage(struct progress *progress, const char *stage, const char *unit);

/* A few words behind the numbers, "loss 0.21": from the next drawing to the stage's end. Copied. */
void progress_note(struct progress *progress, const char *note);

/* done of total (0: unknown) at this moment. As often as one likes: drawn at most ten times a
 * second. Its shape is that of artifact_progress_fn (storage/artifact.h). */
void progress_update(void *progress, uint64_t done, uint64_t total);

/* The same at a given time (monotonic). */
void progress_update_at(struct progress *progress, uint64_t done, uint64_t total, uint64_t now_ns);

/* Takes the bar away. May be called twice. */
void progress_close(struct progress *progress);

#endif
