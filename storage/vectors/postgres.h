/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres: the one adapter between libpq and the project: connections, statements, errors.
 *
 * Parameters and results are binary, but for texts and numbers given as text. A statement is
 * prepared on a connection when it is first used there.
 *
 * Threading: a pool: any thread, several at once; a connection belongs to one thread at a time.
 */
#ifndef ARGOSY_STORAGE_POSTGRES_H
#define ARGOSY_STORAGE_POSTGRES_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

#define POSTGRES_STATEMENTS_MAX 64

struct postgres_connection {
    PGconn *link;
    uint64_t prepared; /* bit by statement */
    bool is_fresh;     /* made for this call: if it is broken, so is the server */
    struct postgres_connection *next;
};

struct postgres_pool {
    const char *address;           /* a URI; borrowed */
    const char *password_file;     /* or NULL; borrowed */
    const char *const *statements; /* SQL by number; borrowed */
    size_t statement_count;
    pthread_mutex_t lock;
    struct postgres_connection *idle;
};

/* Connects to nothing yet. */
void postgres_pool_init(struct postgres_pool *pool, const char *address, const char *password_file,
                        const char *const *statements, size_t statement_count);
/* All connections are back. */
void postgres_pool_fini(struct postgres_pool *pool);

/* What a transaction does; may be run again where the first try met a broken connection or a
 * deadlock, so all of it must be safe to repeat. */
typedef int postgres_work_fn(struct postgres_connection *connection, void *context,
                             struct error *err);

/* Runs work in a transaction (begin: "BEGIN" and its options), which is committed where work gives
 * 0. ERR_UNAVAILABLE: the server cannot be reached or does not let us in; ERR_CONFIG: the
 * password's file cannot be read, ERR_PERMISSION: by others it can; else as postgres_execute. */
int postgres_transact(struct postgres_pool *pool, const char *begin, postgres_work_fn *work,
                      void *context, struct error *err);

/* The parameters of a statement. What is added is borrowed but for numbers and vectors. */
struct postgres_parameters {
    int count, capacity;
    const char **values;
    int *lengths;
    int *formats;
    struct buffer *owned; /* one for each value that was made here */
    bool failed;          /* memory ran out: the execution says so */
};

void postgres_parameters_fini(struct postgres_parameters *parameters);
void postgres_add_text(struct postgres_parameters *parameters, const char *text); /* NULL: null */
void postgres_add_sized_text(struct postgres_parameters *parameters, const char *text, size_t size);
void postgres_add_integer(struct postgres_parameters *parameters, int64_t number);
void postgres_add_double(struct postgres_parameters *parameters, double number);
void postgres_add_bytes(struct postgres_parameters *parameters, const void *data, size_t size);
/* A value of pgvector's type. */
void postgres_add_vector(struct postgres_parameters *parameters, const float *vector,
                         uint32_t dimension);

/* Runs statement `number` of the pool, or sql where that is not NULL, and frees the parameters.
 * *ret_result (NULL: nobody wants it) is the caller's: PQclear. ERR_UNAVAILABLE, ERR_ABORTED
 * (deadlock), ERR_LIMIT (no room), ERR_PERMISSION, ERR_CORRUPT, else ERR_STORAGE; with the server's
 * words. */
int postgres_execute(struct postgres_pool *pool, struct postgres_connection *connection,
                     size_t number, const char *sql, struct postgres_parameters *parameters,
                     PGresult **ret_result, struct error *err);

/* Columns of a binary result. Numbers are 0 for null. */
int64_t postgres_integer(const PGresult *result, int row, int column);  /* of type bigint */
double postgres_double(const PGresult *result, int row, int column);    /* double precision */
const char *postgres_text(const PGresult *result, int row, int column); /* NULL for null */
/* Copies a vector; false where it has another dimension. */
bool postgres_vector(const PGresult *result, int row, int column, uint32_t dimension,
                     float *ret_vector);

#endif
