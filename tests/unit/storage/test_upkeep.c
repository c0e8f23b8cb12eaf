/* SPDX-License-Identifier: Apache-2.0 */
/* upkeep: artifacts that nobody owns go, those that somebody owns stay, damage is named. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/artifact_upkeep.h"
#include "storage/model_registry.h"
#include "tests/unit/storage/storage_fixture.h"

static struct storage_fixture fixture;
static struct arena arena;

static int setup_keeping(const char *yaml)
{
    fixture_open(&fixture, yaml);
    arena_init(&arena, ARENA_NO_LIMIT);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_keeping("artifact_keep_hours: 0");
}

static int setup_a_day(void **state)
{
    (void)state;
    return setup_keeping("");
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    fixture_close(&fixture);
    return 0;
}

static struct artifact put(const char *text, const char *owner)
{
    struct artifact artifact;
    assert_int_equal(artifact_put_bytes(fixture.client, text, strlen(text), owner, &artifact, NULL),
                     0);
    return artifact;
}

/* What the last collection or verification told. */
static struct {
    size_t count;
    char ids[8][ARTIFACT_ID_SIZE];
    char reasons[8][128];
    uint64_t undecided;
    uint64_t examined;
} told;

static int tell(const char *id, const char *reason)
{
    assert_true(told.count < 8);
    snprintf(told.ids[told.count], sizeof told.ids[0], "%s", id);
    snprintf(told.reasons[told.count++], sizeof told.reasons[0], "%s", reason);
    return 0;
}

static int tell_collected(void *context, const struct artifact_entry *entry, const char *reason,
                          struct error *err)
{
    (void)context;
    (void)err;
    return tell(entry->id, reason);
}

static size_t collect(bool is_dry_run)
{
    struct artifact_collection collection;
    struct error err = {0};
    told.count = 0;
    if (artifact_collect(fixture.client, is_dry_run, tell_collected, NULL, &collection, &err) != 0)
        fail_msg("%s", err.text);
    told.examined = collection.examined_count;
    told.undecided = collection.undecided_count;
    return told.count;
}

static int tell_damage(void *context, const char *id, const char *reason, struct error *err)
{
    (void)context;
    (void)err;
    return tell(id, reason);
}

static void note_bytes(void *context, uint64_t done, uint64_t total)
{
    uint64_t *bytes = context;
    assert_true(done >= *bytes && total == 0);
    *bytes = done;
}

/* Returns how many artifacts were read. */
static uint64_t verify(uint64_t *ret_bytes)
{
    struct error err = {0};
    uint64_t count = 0;
    *ret_bytes = 0;
    const struct artifact_verify_options options = {
        .on_damage = tell_damage, .on_progress = note_bytes, .progress_context = ret_bytes};
    told.count = 0;
    if (artifact_verify(fixture.client, &options, &count, &err) != 0)
        fail_msg("%s", err.text);
    return count;
}

static bool is_there(const struct artifact *artifact)
{
    return access(fixture_content(&fixture, artifact->id), F_OK) == 0;
}

static void a_pin_holds_until_it_is_released(void **state)
{
    (void)state;
    struct artifact artifact = put("pinned", "pin:p");
    assert_int_equal(collect(false), 0);
    assert_int_equal(told.examined, 1);
    assert_int_equal(artifact_release(fixture.client, artifact.id, "pin:p", NULL), 0);
    assert_int_equal(collect(true), 1);
    assert_string_equal(told.ids[0], artifact.id);
    assert_string_equal(told.reasons[0], "it has no owner");
    assert_true(is_there(&artifact)); /* nothing was done */
    assert_int_equal(collect(false), 1);
    assert_false(is_there(&artifact));
    assert_int_equal(collect(false), 0);
    assert_int_equal(told.examined, 0);
}

static void an_unowned_artifact_stays_for_its_time(void **state)
{
    (void)state;
    struct artifact artifact = put("resting", "pin:p");
    assert_int_equal(artifact_release(fixture.client, artifact.id, "pin:p", NULL), 0);
    assert_int_equal(collect(false), 0);
    assert_int_equal(collect(false), 0);
    assert_true(is_there(&artifact));
}

static void a_model_holds_its_files(void **state)
{
    (void)state;
    struct model_file file = {"head.json", put("{}", "pin:p")};
    const struct registered_model model = {
        .name = "mood", .kind = "k", .base = "", .metadata = "{}", .files = &file, .file_count = 1};
    uint32_t version;
    assert_int_equal(model_register(fixture.client, &model, "r", &version, NULL), 0);
    assert_int_equal(artifact_release(fixture.client, file.artifact.id, "pin:p", NULL), 0);
    assert_int_equal(collect(false), 0);
    assert_int_equal(model_unregister(fixture.client, "mood", version, NULL), 0);
    assert_int_equal(collect(false), 1);
    assert_false(is_there(&file.artifact));
}

static void without_an_engine_nothing_of_workflows_goes(void **state)
{
    (void)state;
    struct artifact artifact = put("of a workflow", "workflow:w");
    assert_int_equal(collect(false), 0);
    assert_int_equal(told.undecided, 1);
    assert_true(is_there(&artifact));
}

static void damage_is_named_and_left_alone(void **state)
{
    (void)state;
    put("sound", "pin:p");
    struct artifact changed = put("changed", "pin:p");
    struct artifact cut = put("shorter", "pin:p");
    struct artifact missing = put("missing", "pin:p");
    uint64_t bytes;
    assert_int_equal(verify(&bytes), 4);
    assert_int_equal(bytes, strlen("sound"
                                   "changed"
                                   "shorter"
                                   "missing"));
    assert_int_equal(told.count, 0);
    const char *path = fixture_content(&fixture, changed.id);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "w");
    fputs("CHANGED", file);
    fclose(file);
    path = fixture_content(&fixture, cut.id);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(unlink(fixture_content(&fixture, missing.id)), 0);
    assert_int_equal(verify(&bytes), 4);
    assert_int_equal(told.count, 3);
    for (size_t i = 0; i < told.count; i++) {
        const char *expected = "it is missing";
        if (strcmp(told.ids[i], changed.id) == 0)
            expected = "its content is not what its name says";
        else if (strcmp(told.ids[i], cut.id) == 0)
            expected = "it has 3 bytes instead of 7";
        else
            assert_string_equal(told.ids[i], missing.id);
        assert_string_equal(told.reasons[i], expected);
    }
    assert_true(is_there(&changed) && is_there(&cut));
}

/* A list that grows by an entry of storage's, checked for order. */
struct list {
    size_t count;
    char last[ARTIFACT_ID_SIZE];
};

static int list_one(void *context, const struct artifact_entry *entry, struct error *err)
{
    struct list *list = context;
    assert_true(strcmp(entry->id, list->last) > 0);
    assert_true(entry->size > 0 && entry->created_utc_us > 0);
    assert_int_equal(entry->owner_count, 1);
    assert_string_equal(entry->owners[0], "pin:p");
    strcpy(list->last, entry->id);
    list->count++;
    return list->count == 1000 ? error_set(err, ERR_CANCELED, "enough") : 0;
}

static void a_long_list_comes_page_after_page(void **state)
{
    (void)state;
    const int count = 300; /* a page has 256 */
    for (int i = 0; i < count; i++) {
        struct digest digest = {.bytes = {(uint8_t)(i * 7), (uint8_t)(i / 256)}};
        assert_int_equal(artifact_catalog_add(fixture.catalog, &digest, 1, "pin:p", NULL), 0);
    }
    struct list list = {0};
    assert_int_equal(artifact_list(fixture.client, list_one, &list, NULL), 0);
    assert_int_equal(list.count, count);
    list = (struct list){.count = 999 - 270}; /* ends itself after 271 */
    struct error err = {0};
    assert_int_equal(artifact_list(fixture.client, list_one, &list, &err), ERR_CANCELED);
    assert_string_equal(err.text, "enough");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pin_holds_until_it_is_released, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unowned_artifact_stays_for_its_time, setup_a_day,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_model_holds_its_files, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_engine_nothing_of_workflows_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damage_is_named_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_list_comes_page_after_page, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
