/* SPDX-License-Identifier: Apache-2.0 */
/* vector_store_postgres_none: what stands for the PostgreSQL store where libpq is missing. */
#include "storage/vectors/vector_store_ops.h"

int vector_store_postgres_open(const struct vector_store_options *options,
                               struct vector_store **ret_store, struct error *err)
{
    (void)options;
    (void)ret_store;
    return error_set(err, ERR_UNSUPPORTED,
                     "storage.vectors is a PostgreSQL server, and this Argosy was built without "
                     "libpq");
}
