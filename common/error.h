/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: the project's one list of error codes and the way functions report them.
 *
 * A function that can fail returns 0 or one of the negative codes below and takes an optional
 * `struct error *err` as its last parameter. Failing is one statement:
 *
 *     return error_set(err, ERR_INVALID, "line %d: unknown key \"%s\"", line, key);
 *
 * Each code carries the gRPC status a client sees and a disposition: what whoever runs the failed
 * work should do next. Foreign codes (errno, SQLite, ZeroMQ, CUDA) are translated in one adapter
 * each. The numbers of gRPC statuses are those of grpc/statuscodes.
 *
 * Threading: no shared state; a struct error belongs to its caller.
 */
#ifndef ARGOSY_COMMON_ERROR_H
#define ARGOSY_COMMON_ERROR_H

#include <stddef.h>

/* What to do after the failure. */
enum disposition {
    DISPOSITION_NONE,    /* nothing failed */
    DISPOSITION_RETRY,   /* the same call may work later */
    DISPOSITION_FAIL,    /* this task or request fails; others are unharmed */
    DISPOSITION_RESTART, /* this process must be replaced */
    DISPOSITION_STOP,    /* restarting does not help: an operator must act */
};

/*    name                value gRPC  disposition          text */
#define ERROR_CODES(X)                                                                             \
    X(ERR_CANCELED, -1, 1, DISPOSITION_FAIL, "canceled")                                           \
    X(ERR_INVALID, -2, 3, DISPOSITION_FAIL, "invalid argument")                                    \
    X(ERR_TIMEOUT, -3, 4, DISPOSITION_RETRY, "deadline exceeded")                                  \
    X(ERR_NOT_FOUND, -4, 5, DISPOSITION_FAIL, "not found")                                         \
    X(ERR_EXISTS, -5, 6, DISPOSITION_FAIL, "already exists")                                       \
    X(ERR_PERMISSION, -6, 7, DISPOSITION_STOP, "permission denied")                                \
    X(ERR_LIMIT, -7, 8, DISPOSITION_RETRY, "resource exhausted")                                   \
    X(ERR_STATE, -8, 9, DISPOSITION_FAIL, "failed precondition")                                   \
    X(ERR_ABORTED, -9, 10, DISPOSITION_RETRY, "aborted")                                           \
    X(ERR_RANGE, -10, 11, DISPOSITION_FAIL, "out of range")                                        \
    X(ERR_UNSUPPORTED, -11, 12, DISPOSITION_FAIL, "not supported")                                 \
    X(ERR_INTERNAL, -12, 13, DISPOSITION_RESTART, "internal error")                                \
    X(ERR_UNAVAILABLE, -13, 14, DISPOSITION_RETRY, "unavailable")                                  \
    X(ERR_CORRUPT, -14, 15, DISPOSITION_STOP, "data loss")                                         \
    X(ERR_UNAUTHENTICATED, -15, 16, DISPOSITION_STOP, "unauthenticated")                           \
    X(ERR_MEMORY, -16, 8, DISPOSITION_RESTART, "out of memory")                                    \
    X(ERR_IO, -17, 14, DISPOSITION_RETRY, "input/output error")                                    \
    X(ERR_STORAGE, -18, 14, DISPOSITION_STOP, "storage failure")                                   \
    X(ERR_PROTOCOL, -19, 3, DISPOSITION_FAIL, "protocol error")                                    \
    X(ERR_CONFIG, -20, 9, DISPOSITION_STOP, "bad configuration")                                   \
    X(ERR_DEVICE, -21, 14, DISPOSITION_RESTART, "device failure")                                  \
    X(ERR_NONDETERMINISM, -22, 9, DISPOSITION_FAIL, "non-deterministic workflow")                  \
    X(ERR_CLOSED, -23, 14, DISPOSITION_RETRY, "closed")                                            \
    X(ERR_FAILED, -24, 2, DISPOSITION_FAIL, "failed")

enum error_code {
#define ERROR_ENUM(name, value, grpc, disposition, text) name = value,
    ERROR_CODES(ERROR_ENUM)
#undef ERROR_ENUM
};

/* Room for one sentence with a path in it; a longer text is cut with "...". */
#define ERROR_TEXT_MAX 512

struct error {
    int code; /* 0 while nothing failed */
    char text[ERROR_TEXT_MAX];
};

/* Sets err (may be NULL) to code and the formatted text; returns code. code must be negative. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like error_set, with ": " and strerror(errnum) appended; chooses no code from errnum. */
int error_set_errno(struct error *err, int code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the text of an err that is already set; returns err's code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The compiler is told what the functions promise, that the code is negative, so that it sees that
 * out parameters are set wherever 0 was returned. */
#define ERROR_NEGATIVE(code)                                                                       \
    ({                                                                                             \
        int error_code_ = (code);                                                                  \
        if (error_code_ >= 0)                                                                      \
            __builtin_unreachable();                                                               \
        error_code_;                                                                               \
    })
#define error_set(...)       ERROR_NEGATIVE(error_set(__VA_ARGS__))
#define error_set_errno(...) ERROR_NEGATIVE(error_set_errno(__VA_ARGS__))
#define error_prefix(...)    ERROR_NEGATIVE(error_prefix(__VA_ARGS__))

/* Name ("ERR_INVALID"), text ("invalid argument"), gRPC status and disposition of a code; code 0 is
 * "OK" / "ok" / 0 / DISPOSITION_NONE; an unknown code counts as ERR_INTERNAL. */
const char *error_name(int code);
const char *error_text(int code);
int error_grpc_status(int code);
enum disposition error_disposition(int code);

/* The code that stands for a gRPC status received from a peer; 0 for status 0. */
int error_from_grpc_status(int status);

#endif
