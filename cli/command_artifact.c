/* SPDX-License-Identifier: Apache-2.0 */
/* command_artifact: `argosy artifact put`, `get`, `list`, `release`, `verify` and `gc`. */
#include <inttypes.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "common/clock.h"
#include "storage/artifact_upkeep.h"

/* Files of one put. */
#define FILES_MAX 1000

/* Columns of a table that name all owners of an artifact. */
#define OWNERS_WIDTH_MAX 60

static const struct option pin_options[] = {
    {"pin", NULL, 0, OPTION_TEXT, "NAME", "the pin that holds the artifact (cli)", NULL},
    {0},
};

static const struct option put_options[] = {
    {"workflow", NULL, 0, OPTION_TEXT, "ID",
     "no pin: it belongs to the workflow of that id, while it has an open run", NULL},
    {0},
};

/* The owner that --pin names. */
static int pin_owner(const struct invocation *invocation, char ret_owner[ARTIFACT_OWNER_MAX + 1],
                     struct error *err)
{
    const char *pin = parsed_text(&invocation->parsed, "pin");
    int length = snprintf(ret_owner, ARTIFACT_OWNER_MAX + 1, "pin:%s", pin != NULL ? pin : "cli");
    return length <= ARTIFACT_OWNER_MAX
               ? 0
               : error_set(err, ERR_INVALID, "--pin: the name has more than %d bytes",
                           ARTIFACT_OWNER_MAX - (int)strlen("pin:"));
}

static json_t *entry_json(const struct artifact_entry *entry)
{
    char created[CLOCK_UTC_TEXT_SIZE];
    char unowned[CLOCK_UTC_TEXT_SIZE];
    json_t *owners = json_array();
    for (size_t i = 0; i < entry->owner_count; i++)
        json_array_append_new(owners, json_string(entry->owners[i]));
    clock_utc_format(entry->created_utc_us, created);
    clock_utc_format(entry->unowned_utc_us, unowned);
    return json_pack("{s:s, s:I, s:s, s:o, s:s*}", "artifact", entry->id, "size",
                     (json_int_t)entry->size, "createdTime", created, "owners", owners,
                     "unownedTime", entry->unowned_utc_us != 0 ? unowned : NULL);
}

/* ---- put ---- */

/* The owner that --pin or --workflow names; an exit status where both do. */
static int put_owner(const struct invocation *invocation, char ret_owner[ARTIFACT_OWNER_MAX + 1],
                     struct error *err)
{
    const char *workflow = parsed_text(&invocation->parsed, "workflow");
    if (workflow == NULL)
        return pin_owner(invocation, ret_owner, err);
    if (parsed_has(&invocation->parsed, "pin"))
        return command_usage(invocation, "--pin and --workflow exclude each other");
    int length = snprintf(ret_owner, ARTIFACT_OWNER_MAX + 1, "workflow:%s", workflow);
    return length <= ARTIFACT_OWNER_MAX
               ? 0
               : error_set(err, ERR_INVALID, "--workflow: the id has more than %d bytes",
                           ARTIFACT_OWNER_MAX - (int)strlen("workflow:"));
}

static int put_one(const struct invocation *invocation, struct storage_client *client,
                   struct progress *progress, const char *path, const char *owner, json_t *list,
                   struct error *err)
{
    struct artifact artifact;
    progress_stage(progress, path, "bytes");
    int code = artifact_put_file(client, path, owner, progress_update, progress, &artifact, err);
    if (code != 0)
        return code;
    if (invocation->json) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "file", path, "artifact",
                                              artifact.id, "size", (json_int_t)artifact.size));
        return 0;
    }
    progress_close(progress);
    struct buffer safe = {0};
    output_safe(path, strlen(path), &safe);
    printf("%s  %s\n", artifact.id, buffer_text(&safe));
    buffer_fini(&safe);
    return 0;
}

static int artifact_put_run(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (parsed->argument_count == 0)
        return command_usage(invocation, "a file is missing");
    char owner[ARTIFACT_OWNER_MAX + 1];
    struct storage_session session;
    struct progress progress;
    int code = put_owner(invocation, owner, err);
    if (code == 0)
        code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *list = json_array();
    progress_open(&progress, invocation->json);
    for (size_t i = 0; code == 0 && i < parsed->argument_count; i++)
        code =
            put_one(invocation, session.client, &progress, parsed->arguments[i], owner, list, err);
    progress_close(&progress);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:O}", "artifacts", list), err);
    json_decref(list);
    storage_session_close(&session);
    return code;
}

/* ---- get ---- */

static int artifact_get_run(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (parsed->argument_count < 2)
        return command_usage(invocation, "the artifact and the file to write are needed");
    const char *id = parsed->arguments[0];
    const char *path = parsed->arguments[1];
    struct storage_session session;
    struct progress progress;
    int code = artifact_id_check(id, err);
    if (code == 0)
        code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    progress_open(&progress, invocation->json);
    progress_stage(&progress, "get", "bytes");
    code = artifact_get_file(session.client, id, path, progress_update, &progress, err);
    progress_close(&progress);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:s}", "artifact", id, "file", path), err);
    storage_session_close(&session);
    return code;
}

/* ---- release ---- */

static int artifact_release_run(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the artifact is missing");
    const char *id = invocation->parsed.arguments[0];
    char owner[ARTIFACT_OWNER_MAX + 1];
    struct storage_session session;
    int code = pin_owner(invocation, owner, err);
    if (code == 0)
        code = artifact_id_check(id, err);
    if (code == 0)
        code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = artifact_release(session.client, id, owner, err);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:s}", "artifact", id, "released", owner), err);
    else if (code == 0)
        puts("released: it goes when nobody else owns it (argosy artifact gc)");
    storage_session_close(&session);
    return code;
}

/* ---- list ---- */

static const struct option list_options[] = {
    {"limit", NULL, 'l', OPTION_NUMBER, "N", "at most this many artifacts (1000)", NULL},
    {0},
};

/* Listed so far, as a table or as JSON, or only counted. */
struct listing {
    struct table table;
    json_t *list; /* NULL: the table */
    int64_t limit;
    uint64_t count;
    uint64_t bytes;
};

static void owners_print(const struct artifact_entry *entry, struct buffer *out)
{
    for (size_t i = 0; i < entry->owner_count; i++)
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", entry->owners[i]);
    if (entry->owner_count == 0)
        buffer_append_text(out, "-");
    output_cut(out, OWNERS_WIDTH_MAX);
}

static int listing_add(void *context, const struct artifact_entry *entry, struct error *err)
{
    struct listing *listing = context;
    if (listing->count == (uint64_t)listing->limit)
        return error_set(err, ERR_CANCELED, "enough");
    listing->count++;
    listing->bytes += entry->size;
    if (listing->list != NULL) {
        json_array_append_new(listing->list, entry_json(entry));
        return 0;
    }
    char size[OUTPUT_BYTES_SIZE];
    char created[OUTPUT_TIME_SIZE];
    struct buffer owners = {0};
    owners_print(entry, &owners);
    table_add(&listing->table, entry->id, output_bytes((double)entry->size, size),
              output_time(entry->created_utc_us, created), buffer_text(&owners));
    buffer_fini(&owners);
    return 0;
}

/* A count of things, for people: "1 artifact", "17 artifacts". */
static void count_print(uint64_t count, uint64_t bytes, const char *what)
{
    char size[OUTPUT_BYTES_SIZE];
    printf("%" PRIu64 " artifact%s, %s%s\n", count, count == 1 ? "" : "s",
           output_bytes((double)bytes, size), what);
}

static int listing_print(const struct listing *listing, bool is_cut, struct error *err)
{
    int code = listing->count > 0 ? table_print(&listing->table, stdout, err) : 0;
    if (code == 0)
        count_print(listing->count, listing->bytes, is_cut ? "; there are more (--limit)" : "");
    return code;
}

static int artifact_list_run(const struct invocation *invocation, struct error *err)
{
    struct listing listing = {.limit = parsed_number(&invocation->parsed, "limit", 1000)};
    if (listing.limit == 0)
        return command_usage(invocation, "--limit must be at least 1");
    struct storage_session session;
    int code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    table_init(&listing.table,
               (const char *const[]){"ARTIFACT", "SIZE", "CREATED", "OWNERS", NULL});
    listing.list = invocation->json ? json_array() : NULL;
    code = artifact_list(session.client, listing_add, &listing, err);
    bool is_cut = code == ERR_CANCELED;
    if (is_cut)
        code = 0;
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:O, s:b}", "artifacts", listing.list, "more", (int)is_cut),
                           err);
    else if (code == 0)
        code = listing_print(&listing, is_cut, err);
    json_decref(listing.list);
    table_fini(&listing.table);
    storage_session_close(&session);
    return code;
}

/* ---- verify ---- */

struct verification {
    struct progress progress;
    json_t *damages;
    uint64_t count;       /* of artifacts that there are */
    uint64_t bytes_total; /* of theirs */
};

static int verification_count(void *context, const struct artifact_entry *entry, struct error *err)
{
    (void)err;
    struct verification *verification = context;
    verification->count++;
    verification->bytes_total += entry->size;
    return 0;
}

static int verification_damage(void *context, const char *id, const char *reason, struct error *err)
{
    (void)err;
    struct verification *verification = context;
    json_array_append_new(verification->damages,
                          json_pack("{s:s, s:s}", "artifact", id, "reason", reason));
    return 0;
}

/* Storage does not know the end; the list before did, or nearly: things come and go. */
static void verification_progress(void *context, uint64_t done, uint64_t total)
{
    (void)total;
    struct verification *verification = context;
    total = verification->bytes_total;
    progress_update(&verification->progress, done < total ? done : total, total);
}

static int verification_print(const struct invocation *invocation,
                              const struct verification *verification, struct error *err)
{
    size_t index;
    const json_t *damage;
    if (invocation->json)
        return output_json(json_pack("{s:I, s:O}", "checked", (json_int_t)verification->count,
                                     "damaged", verification->damages),
                           err);
    json_array_foreach(verification->damages, index, damage)
        printf("%s: %s\n", json_string_value(json_object_get(damage, "artifact")),
               json_string_value(json_object_get(damage, "reason")));
    printf("%" PRIu64 " read, %zu damaged\n", verification->count,
           json_array_size(verification->damages));
    return 0;
}

static int artifact_verify_run(const struct invocation *invocation, struct error *err)
{
    struct storage_session session;
    int code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    struct verification verification = {.damages = json_array()};
    const struct artifact_verify_options options = {.on_damage = verification_damage,
                                                    .on_progress = verification_progress,
                                                    .context = &verification,
                                                    .progress_context = &verification};
    progress_open(&verification.progress, invocation->json);
    progress_stage(&verification.progress, "verify", "bytes");
    code = artifact_list(session.client, verification_count, &verification, err);
    if (code == 0)
        code = artifact_verify(session.client, &options, &verification.count, err);
    progress_close(&verification.progress);
    if (code == 0)
        code = verification_print(invocation, &verification, err);
    if (code == 0 && json_array_size(verification.damages) > 0)
        code = EXIT_BAD_INPUT;
    json_decref(verification.damages);
    storage_session_close(&session);
    return code;
}

/* ---- gc ---- */

static const struct option gc_options[] = {
    {"dry-run", NULL, 0, OPTION_FLAG, NULL, "only say what would go", NULL},
    {0},
};

struct collection {
    bool json;
    json_t *list;
    uint64_t count;
    uint64_t bytes;
};

static int collection_add(void *context, const struct artifact_entry *entry, const char *reason,
                          struct error *err)
{
    (void)err;
    struct collection *collection = context;
    collection->count++;
    collection->bytes += entry->size;
    if (collection->json) {
        json_t *object = entry_json(entry);
        json_object_set_new(object, "reason", json_string(reason));
        json_array_append_new(collection->list, object);
        return 0;
    }
    struct buffer safe = {0};
    output_safe(reason, strlen(reason), &safe);
    printf("%s  %s\n", entry->id, buffer_text(&safe));
    buffer_fini(&safe);
    return 0;
}

static int collection_print(const struct collection *collection, bool is_dry_run,
                            const struct artifact_collection *report, struct error *err)
{
    if (collection->json)
        return output_json(
            json_pack("{s:O, s:I, s:I, s:I, s:b}", "collected", collection->list, "bytes",
                      (json_int_t)collection->bytes, "examined", (json_int_t)report->examined_count,
                      "undecided", (json_int_t)report->undecided_count, "dryRun", (int)is_dry_run),
            err);
    count_print(collection->count, collection->bytes,
                is_dry_run ? " would be collected" : " collected");
    if (report->undecided_count > 0)
        fprintf(stderr,
                "note: %" PRIu64 " of %" PRIu64 " stay because the engine could not be asked "
                "about their workflows\n",
                report->undecided_count, report->examined_count);
    return 0;
}

static int artifact_gc_run(const struct invocation *invocation, struct error *err)
{
    bool is_dry_run = parsed_has(&invocation->parsed, "dry-run");
    struct storage_session session;
    int code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    struct collection collection = {.json = invocation->json, .list = json_array()};
    struct artifact_collection report;
    code = artifact_collect(session.client, is_dry_run, collection_add, &collection, &report, err);
    if (code == 0)
        code = collection_print(&collection, is_dry_run, &report, err);
    json_decref(collection.list);
    storage_session_close(&session);
    return code;
}

/* ---- the rows ---- */

const struct command command_artifact_put = {
    .name = "artifact put",
    .summary = "bring files into storage, held by a pin or for a workflow",
    .arguments = "FILE...",
    .arguments_max = FILES_MAX,
    .about = "Prints each file's artifact: the name of its content, by which workflows and other\n"
             "nodes get it. Content that storage has is not sent again; damaged content is\n"
             "repaired. The artifact stays until its pin is released; with --workflow it is the\n"
             "input of a workflow that is about to start, and goes after it.",
    .example = "argosy artifact put texts.jsonl\n"
               "argosy artifact put texts.jsonl --workflow embed-7\n"
               "argosy artifact put train.jsonl test.jsonl --pin tickets --output json",
    .options = {{pin_options, put_options, session_options, common_options}},
    .run = artifact_put_run,
};

const struct command command_artifact_get = {
    .name = "artifact get",
    .summary = "write an artifact's content to a file, checked by its SHA-256",
    .arguments = "ARTIFACT FILE",
    .arguments_max = 2,
    .example = "argosy artifact get sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15"
               "b0f00a08 result.bin",
    .options = {{session_options, common_options}},
    .run = artifact_get_run,
};

const struct command command_artifact_list = {
    .name = "artifact list",
    .summary = "what storage has, and who owns it",
    .arguments = "",
    .example = "argosy artifact list\n"
               "argosy artifact list --limit 100000 --output json > artifacts.json",
    .options = {{list_options, session_options, common_options}},
    .run = artifact_list_run,
};

const struct command command_artifact_release = {
    .name = "artifact release",
    .summary = "take a pin away",
    .arguments = "ARTIFACT",
    .arguments_max = 1,
    .example = "argosy artifact release sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d"
               "6c15b0f00a08 --pin tickets",
    .options = {{pin_options, session_options, common_options}},
    .run = artifact_release_run,
};

const struct command command_artifact_verify = {
    .name = "artifact verify",
    .summary = "read all of storage's artifacts and name the damaged ones",
    .arguments = "",
    .about = "Changes nothing. Status 65 where something is damaged: put the file again, or run\n"
             "again what made it.",
    .example = "argosy artifact verify",
    .options = {{session_options, common_options}},
    .run = artifact_verify_run,
};

const struct command command_artifact_gc = {
    .name = "artifact gc",
    .summary = "remove what nobody has owned for long enough",
    .arguments = "",
    .about =
        "Owners are workflows with an open run, registered models and pins. Storage does this\n"
        "by itself once an hour; how long is storage.artifact_keep_hours (24).",
    .example = "argosy artifact gc --dry-run\n"
               "argosy artifact gc",
    .options = {{gc_options, session_options, common_options}},
    .run = artifact_gc_run,
};
