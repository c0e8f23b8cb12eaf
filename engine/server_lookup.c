/* SPDX-License-Identifier: Apache-2.0 */
/* server_lookup: see server_lookup.h. */
#include "engine/server_lookup.h"

int server_lookup(struct store *store, const struct core_need *need, struct arena *arena,
                  struct core_lookup *ret_lookup, struct error *err)
{
    struct core_lookup lookup = {0};
    int code = store_find(store, need->namespace_name, need->workflow_id, need->run_id, arena,
                          &lookup.run, err);
    if (code == ERR_NOT_FOUND) {
        *ret_lookup = lookup;
        return 0;
    }
    lookup.found = true;
    if (code == 0 && need->with_records) {
        struct store_blob *records;
        code = store_load(store, lookup.run.run_key, arena, &records, &lookup.record_count, err);
        lookup.records = code == 0 ? records : NULL;
    }
    if (code == 0)
        *ret_lookup = lookup;
    return code;
}
