/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: how every function of the library reports that it failed.
 *
 * A function that can fail returns 0 or one of the negative codes below and takes an optional
 * `struct argosy_error *err` (NULL when the text does not matter). Out parameters are untouched on
 * failure unless their comment says otherwise. Failing in your own code is one statement:
 *
 *     return argosy_error_set(err, ARGOSY_ERR_INVALID, "line %d has no price", line);
 *
 * Threading: no shared state; a struct argosy_error belongs to its caller.
 */
#ifndef ARGOSY_ERROR_H
#define ARGOSY_ERROR_H

#include <argosy/export.h>

struct argosy_failure;

enum argosy_error_code {
    ARGOSY_ERR_CANCELED = -1,     /* the run, activity or call was canceled */
    ARGOSY_ERR_INVALID = -2,      /* a wrong argument; the text says which */
    ARGOSY_ERR_TIMEOUT = -3,      /* a deadline passed */
    ARGOSY_ERR_NOT_FOUND = -4,    /* no such run, type, queue or file */
    ARGOSY_ERR_EXISTS = -5,       /* the workflow id is in use */
    ARGOSY_ERR_PERMISSION = -6,   /* not allowed */
    ARGOSY_ERR_LIMIT = -7,        /* a bound was reached; it may work later */
    ARGOSY_ERR_STATE = -8,        /* not now: the call does not fit the object's state */
    ARGOSY_ERR_ABORTED = -9,      /* overtaken by something else; try again */
    ARGOSY_ERR_RANGE = -10,       /* a number out of range */
    ARGOSY_ERR_UNSUPPORTED = -11, /* the other side does not know how */
    ARGOSY_ERR_INTERNAL = -12,    /* a mistake of Argosy's own */
    ARGOSY_ERR_UNAVAILABLE = -13, /* the engine cannot be reached; it may work later */
    ARGOSY_ERR_CORRUPT = -14,     /* stored data is damaged */
    ARGOSY_ERR_UNAUTHENTICATED = -15,
    ARGOSY_ERR_MEMORY = -16,
    ARGOSY_ERR_IO = -17,
    ARGOSY_ERR_STORAGE = -18,
    ARGOSY_ERR_PROTOCOL = -19, /* the other side sent something malformed */
    ARGOSY_ERR_CONFIG = -20,
    ARGOSY_ERR_DEVICE = -21,
    ARGOSY_ERR_NONDETERMINISM = -22, /* workflow code does not match its history */
    ARGOSY_ERR_CLOSED = -23,         /* the connection or worker was closed */
    ARGOSY_ERR_FAILED = -24,         /* an activity or run failed; `failure` says how */
};

struct argosy_error {
    int code;       /* 0 while nothing failed */
    char text[512]; /* one sentence: lower case, no final period */
    /* What failed, with its chain of causes (failure.h), when an activity or run did; else NULL.
     * Borrowed: it lives as long as the arena or the run it came from. */
    const struct argosy_failure *failure;
};

/* Sets err (may be NULL) to code and the formatted text, clears its failure; returns code. */
ARGOSY_API int argosy_error_set(struct argosy_error *err, int code, const char *format, ...)
    ARGOSY_PRINTF(3, 4);

/* "invalid argument" for ARGOSY_ERR_INVALID, "ok" for 0. A constant. */
ARGOSY_API const char *argosy_error_text(int code);

#endif
