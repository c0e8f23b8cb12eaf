/* SPDX-License-Identifier: Apache-2.0 */
/* postgres: see postgres.h. */
#include "storage/vectors/postgres.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/hash.h"
#include "common/secret_file.h"

/* Tries of a transaction that deadlocks. */
#define TRIES_MAX 5

#define PASSWORD_SIZE 1024

/* "s" and a number. */
#define STATEMENT_NAME_SIZE 24

/* ---- errors ---- */

static int translate(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } rows[] = {
        {"08", ERR_UNAVAILABLE}, {"57P", ERR_UNAVAILABLE},    {"40", ERR_ABORTED},
        {"53", ERR_LIMIT},       {"28", ERR_UNAUTHENTICATED}, {"42501", ERR_PERMISSION},
        {"XX00", ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strncmp(state, rows[i].prefix, strlen(rows[i].prefix)) == 0)
            return rows[i].code;
    }
    return ERR_STORAGE;
}

/* libpq's text without its line feeds. */
static int fail(int code, const char *text, struct error *err)
{
    char line[ERROR_TEXT_MAX];
    snprintf(line, sizeof line, "%s", text);
    for (char *at = line; (at = strchr(at, '\n')) != NULL;)
        *at = at[1] == '\0' ? '\0' : ' ';
    return error_set(err, code, "PostgreSQL: %s", line);
}

static int fail_result(const struct postgres_connection *connection, const PGresult *result,
                       struct error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* An error without a state is libpq's own: the connection is gone, though its status may not
     * say so yet. */
    if (PQstatus(connection->link) != CONNECTION_OK || state == NULL || text == NULL)
        return fail(ERR_UNAVAILABLE, PQerrorMessage(connection->link), err);
    return fail(translate(state), text, err);
}

/* ---- connections ---- */

void postgres_pool_init(struct postgres_pool *pool, const char *address, const char *password_file,
                        const char *const *statements, size_t statement_count)
{
    ASSERT(statement_count <= POSTGRES_STATEMENTS_MAX);
    *pool = (struct postgres_pool){.address = address,
                                   .password_file = password_file,
                                   .statements = statements,
                                   .statement_count = statement_count};
    pthread_mutex_init(&pool->lock, NULL);
}

static void connection_destroy(struct postgres_connection *connection)
{
    PQfinish(connection->link);
    free(connection);
}

void postgres_pool_fini(struct postgres_pool *pool)
{
    while (pool->idle != NULL) {
        struct postgres_connection *connection = pool->idle;
        LL_DELETE(pool->idle, connection);
        connection_destroy(connection);
    }
    pthread_mutex_destroy(&pool->lock);
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* The file's first line: as of a mounted secret, which may change between connections. */
static int read_password(const char *path, char ret_password[PASSWORD_SIZE], struct error *err)
{
    char password[PASSWORD_SIZE] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(err, ERR_CONFIG, errno, "could not open %s", path);
    int code = secret_file_check(fileno(file), path, err);
    bool is_read = code == 0 && fgets(password, sizeof password, file) != NULL;
    fclose(file);
    if (code != 0)
        return code;
    size_t size = strcspn(password, "\r\n");
    if (!is_read || size == 0 || size == PASSWORD_SIZE - 1)
        return error_set(err, ERR_CONFIG, "%s: its first line is no password of 1 to %d bytes",
                         path, PASSWORD_SIZE - 2);
    memcpy(ret_password, password, size);
    ret_password[size] = '\0';
    return 0;
}

static int connect_new(const struct postgres_pool *pool,
                       struct postgres_connection **ret_connection, struct error *err)
{
    char password[PASSWORD_SIZE];
    /* What stands before the address can be set otherwise in it, what stands behind cannot. */
    const char *const names[] = {"connect_timeout",
                                 "tcp_user_timeout",
                                 "application_name",
                                 "dbname",
                                 "client_encoding",
                                 "password",
                                 NULL};
    const char *const values[] = {
        "10",          "30000", "argosy-storage",
        pool->address, "UTF8",  pool->password_file != NULL ? password : NULL,
        NULL};
    int code = pool->password_file != NULL ? read_password(pool->password_file, password, err) : 0;
    if (code != 0)
        return code;
    struct postgres_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a connection");
    connection->is_fresh = true;
    connection->link = PQconnectdbParams(names, values, 1);
    if (PQstatus(connection->link) != CONNECTION_OK) {
        code = fail(ERR_UNAVAILABLE, PQerrorMessage(connection->link), err);
        connection_destroy(connection);
        return code;
    }
    PQsetNoticeReceiver(connection->link, ignore_notice, NULL);
    *ret_connection = connection;
    return 0;
}

static int take(struct postgres_pool *pool, struct postgres_connection **ret_connection,
                struct error *err)
{
    pthread_mutex_lock(&pool->lock);
    struct postgres_connection *connection = pool->idle;
    if (connection != NULL)
        LL_DELETE(pool->idle, connection);
    pthread_mutex_unlock(&pool->lock);
    if (connection == NULL)
        return connect_new(pool, ret_connection, err);
    connection->is_fresh = false;
    *ret_connection = connection;
    return 0;
}

static void give_back(struct postgres_pool *pool, struct postgres_connection *connection)
{
    pthread_mutex_lock(&pool->lock);
    LL_PREPEND(pool->idle, connection);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- transactions ---- */

static int run_simple(struct postgres_connection *connection, const char *sql, struct error *err)
{
    PGresult *result = PQexec(connection->link, sql);
    int code =
        PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : fail_result(connection, result, err);
    PQclear(result);
    return code;
}

static int try_once(struct postgres_connection *connection, const char *begin,
                    postgres_work_fn *work, void *context, struct error *err)
{
    int code = run_simple(connection, begin, err);
    if (code == 0)
        code = work(connection, context, err);
    if (code == 0)
        code = run_simple(connection, "COMMIT", err);
    if (code != 0 && PQtransactionStatus(connection->link) != PQTRANS_IDLE)
        run_simple(connection, "ROLLBACK", NULL);
    return code;
}

int postgres_transact(struct postgres_pool *pool, const char *begin, postgres_work_fn *work,
                      void *context, struct error *err)
{
    int aborted = 0;
    for (;;) {
        struct postgres_connection *connection;
        int code = take(pool, &connection, err);
        if (code != 0)
            return code;
        code = try_once(connection, begin, work, context, err);
        bool is_broken = code == ERR_UNAVAILABLE || PQstatus(connection->link) != CONNECTION_OK ||
                         PQtransactionStatus(connection->link) != PQTRANS_IDLE;
        bool was_fresh = connection->is_fresh;
        if (is_broken)
            connection_destroy(connection);
        else
            give_back(pool, connection);
        bool is_retried = (is_broken && !was_fresh && code == ERR_UNAVAILABLE) ||
                          (code == ERR_ABORTED && !is_broken && ++aborted < TRIES_MAX);
        if (!is_retried)
            return code;
    }
}

/* ---- parameters ---- */

void postgres_parameters_fini(struct postgres_parameters *parameters)
{
    for (int i = 0; i < parameters->count; i++)
        buffer_fini(&parameters->owned[i]);
    free(parameters->owned);
    free(parameters->values);
    free(parameters->lengths);
    free(parameters->formats);
    *parameters = (struct postgres_parameters){0};
}

static bool grow(struct postgres_parameters *parameters)
{
    int capacity = parameters->capacity > 0 ? 2 * parameters->capacity : 16;
    size_t count = (size_t)capacity;
    const char **values = realloc(parameters->values, count * sizeof *values);
    if (values != NULL)
        parameters->values = values;
    int *lengths = realloc(parameters->lengths, count * sizeof *lengths);
    if (lengths != NULL)
        parameters->lengths = lengths;
    int *formats = realloc(parameters->formats, count * sizeof *formats);
    if (formats != NULL)
        parameters->formats = formats;
    struct buffer *owned = realloc(parameters->owned, count * sizeof *owned);
    if (owned != NULL)
        parameters->owned = owned;
    if (values == NULL || lengths == NULL || formats == NULL || owned == NULL)
        return false;
    parameters->capacity = capacity;
    return true;
}

/* Takes owned, which value may point into. */
static void add(struct postgres_parameters *parameters, const char *value, size_t length,
                bool is_binary, struct buffer owned)
{
    bool has_room = parameters->count < parameters->capacity || grow(parameters);
    if (!has_room || owned.failed) {
        parameters->failed = true;
        buffer_fini(&owned);
        return;
    }
    int at = parameters->count++;
    parameters->values[at] = value;
    parameters->lengths[at] = (int)length;
    parameters->formats[at] = is_binary;
    parameters->owned[at] = owned;
}

void postgres_add_text(struct postgres_parameters *parameters, const char *text)
{
    add(parameters, text, 0, false, (struct buffer){0});
}

/* The binary form of a text is the text. */
void postgres_add_sized_text(struct postgres_parameters *parameters, const char *text, size_t size)
{
    add(parameters, text, size, true, (struct buffer){0});
}

void postgres_add_integer(struct postgres_parameters *parameters, int64_t number)
{
    struct buffer text = {0};
    buffer_printf(&text, "%" PRId64, number);
    const char *value = buffer_text(&text);
    add(parameters, value, 0, false, text);
}

void postgres_add_double(struct postgres_parameters *parameters, double number)
{
    struct buffer text = {0};
    buffer_printf(&text, "%.17g", number);
    const char *value = buffer_text(&text);
    add(parameters, value, 0, false, text);
}

void postgres_add_bytes(struct postgres_parameters *parameters, const void *data, size_t size)
{
    add(parameters, data, size, true, (struct buffer){0});
}

/* pgvector's binary form: the dimension and a zero as 16 bits, then the floats; all big-endian. */
void postgres_add_vector(struct postgres_parameters *parameters, const float *vector,
                         uint32_t dimension)
{
    struct buffer bytes = {0};
    uint16_t head[2] = {htobe16((uint16_t)dimension), 0};
    buffer_append(&bytes, head, sizeof head);
    for (uint32_t i = 0; i < dimension; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        bits = htobe32(bits);
        buffer_append(&bytes, &bits, sizeof bits);
    }
    add(parameters, (const char *)bytes.data, bytes.size, true, bytes);
}

/* ---- statements ---- */

static int prepare(const struct postgres_pool *pool, struct postgres_connection *connection,
                   size_t number, struct error *err)
{
    char name[STATEMENT_NAME_SIZE];
    uint64_t bit = UINT64_C(1) << number;
    ASSERT(number < pool->statement_count);
    if ((connection->prepared & bit) != 0)
        return 0;
    snprintf(name, sizeof name, "s%zu", number);
    PGresult *result = PQprepare(connection->link, name, pool->statements[number], 0, NULL);
    int code =
        PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : fail_result(connection, result, err);
    PQclear(result);
    if (code == 0)
        connection->prepared |= bit;
    return code;
}

static PGresult *send_statement(struct postgres_connection *connection, size_t number,
                                const char *sql, const struct postgres_parameters *parameters)
{
    char name[STATEMENT_NAME_SIZE];
    snprintf(name, sizeof name, "s%zu", number);
    if (sql != NULL)
        return PQexecParams(connection->link, sql, parameters->count, NULL, parameters->values,
                            parameters->lengths, parameters->formats, 1);
    return PQexecPrepared(connection->link, name, parameters->count, parameters->values,
                          parameters->lengths, parameters->formats, 1);
}

int postgres_execute(struct postgres_pool *pool, struct postgres_connection *connection,
                     size_t number, const char *sql, struct postgres_parameters *parameters,
                     PGresult **ret_result, struct error *err)
{
    int code = parameters->failed ? error_set(err, ERR_MEMORY, "no memory for a statement") : 0;
    if (code == 0 && sql == NULL)
        code = prepare(pool, connection, number, err);
    if (code != 0) {
        postgres_parameters_fini(parameters);
        return code;
    }
    PGresult *result = send_statement(connection, number, sql, parameters);
    postgres_parameters_fini(parameters);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        code = fail_result(connection, result, err);
        PQclear(result);
        return code;
    }
    if (ret_result != NULL)
        *ret_result = result;
    else
        PQclear(result);
    return 0;
}

/* ---- columns ---- */

int64_t postgres_integer(const PGresult *result, int row, int column)
{
    uint64_t bits = 0;
    if (PQgetlength(result, row, column) == sizeof bits)
        memcpy(&bits, PQgetvalue(result, row, column), sizeof bits);
    return (int64_t)be64toh(bits);
}

double postgres_double(const PGresult *result, int row, int column)
{
    uint64_t bits = (uint64_t)postgres_integer(result, row, column);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

const char *postgres_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

bool postgres_vector(const PGresult *result, int row, int column, uint32_t dimension,
                     float *ret_vector)
{
    const char *data = PQgetvalue(result, row, column);
    uint16_t head;
    if ((size_t)PQgetlength(result, row, column) != 4 + dimension * sizeof(float))
        return false;
    memcpy(&head, data, sizeof head);
    if (be16toh(head) != dimension)
        return false;
    for (uint32_t i = 0; i < dimension; i++) {
        uint32_t bits;
        memcpy(&bits, data + 4 + i * sizeof bits, sizeof bits);
        bits = be32toh(bits);
        memcpy(&ret_vector[i], &bits, sizeof bits);
    }
    return true;
}
