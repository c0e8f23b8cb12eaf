/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite_snapshot: one state of the file, read by several connections, and the pass over a
 * collection's documents with all of them at once. A document is read by one thread; the threads
 * take the next as they get ready. Threading: vector_sqlite.h.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "storage/vectors/vector_sqlite.h"

static const char pass_failed[] = "could not read documents";

int vector_snapshot_open(struct vector_snapshot *snapshot, unsigned count, struct error *err)
{
    int code = 0;
    while (code == 0 && snapshot->reader_count < count) {
        struct vector_reader *reader;
        code = vector_reader_take(snapshot->sqlite, &reader, err);
        if (code != 0)
            break;
        snapshot->readers[snapshot->reader_count++] = reader;
        code = vector_reader_begin(reader, err);
    }
    return code;
}

void vector_snapshot_close(struct vector_snapshot *snapshot)
{
    while (snapshot->reader_count > 0)
        vector_reader_release(snapshot->sqlite, snapshot->readers[--snapshot->reader_count]);
}

/* A pass that threads share. */
struct pass {
    const struct vector_snapshot *snapshot;
    vector_document_visit *visit;
    void *context;
    const struct vector_document_row *documents;
    size_t document_count;
    _Atomic size_t next;
    int codes[PARALLEL_THREADS_MAX];
    struct error errors[PARALLEL_THREADS_MAX];
};

/* Copies a row; its count is what the collection's own row says. */
static int add_document(struct pass *pass, sqlite3_stmt *stmt,
                        const struct vector_collection_row *row, struct arena *arena,
                        struct vector_document_row *documents, struct error *err)
{
    if (pass->document_count == row->document_count)
        return error_set(err, ERR_CORRUPT, "collection \"%s\" has miscounted its documents",
                         row->name);
    const char *metadata = (const char *)sqlite3_column_text(stmt, 3);
    struct vector_document_row document = {
        .name = arena_strdup(arena, sqlite_column_text(stmt, 0)),
        .metadata = arena_strdup(arena, metadata),
        .upload_key = sqlite3_column_int64(stmt, 1),
        .chunk_count = (uint32_t)sqlite3_column_int64(stmt, 2),
    };
    if (document.name == NULL || (metadata != NULL && document.metadata == NULL))
        return error_set(err, ERR_MEMORY, "no memory for a list of documents");
    documents[pass->document_count++] = document;
    return 0;
}

static int list_documents(struct pass *pass, const struct vector_collection_row *row,
                          struct arena *arena, struct error *err)
{
    struct vector_document_row *documents =
        arena_alloc(arena, (size_t)row->document_count * sizeof *documents);
    if (documents == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a list of documents");
    pass->documents = documents;
    sqlite3_stmt *stmt = pass->snapshot->readers[0]->documents;
    sqlite3_bind_int64(stmt, 1, row->collection_key);
    int code;
    while ((code = sqlite_step_row(stmt, err, pass_failed)) == 1) {
        code = add_document(pass, stmt, row, arena, documents, err);
        if (code != 0)
            break;
    }
    sqlite3_reset(stmt);
    return code;
}

static void pass_part(void *context, unsigned thread)
{
    struct pass *pass = context;
    int *code = &pass->codes[thread];
    while (*code == 0) {
        size_t i = atomic_fetch_add(&pass->next, 1);
        if (i >= pass->document_count)
            return;
        *code = pass->visit(pass->context, thread, pass->snapshot->readers[thread],
                            &pass->documents[i], &pass->errors[thread]);
    }
    /* The others need not go on. */
    atomic_store(&pass->next, pass->document_count);
}

/* A failure counts more than an end. */
static int pass_outcome(const struct pass *pass, struct error *err)
{
    int outcome = 0;
    for (unsigned i = 0; i < pass->snapshot->reader_count; i++) {
        if (pass->codes[i] < 0)
            return error_set(err, pass->codes[i], "%s", pass->errors[i].text);
        outcome = pass->codes[i] != 0 ? pass->codes[i] : outcome;
    }
    return outcome;
}

int vector_snapshot_visit(const struct vector_snapshot *snapshot,
                          const struct vector_collection_row *row, vector_document_visit *visit,
                          void *context, struct error *err)
{
    struct pass *pass = calloc(1, sizeof *pass);
    if (pass == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a list of documents");
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    pass->snapshot = snapshot;
    pass->visit = visit;
    pass->context = context;
    int code = list_documents(pass, row, &arena, err);
    if (code == 0) {
        parallel_run(snapshot->reader_count, pass_part, pass);
        code = pass_outcome(pass, err);
    }
    arena_fini(&arena);
    free(pass);
    return code;
}
