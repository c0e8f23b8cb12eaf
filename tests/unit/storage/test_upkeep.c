/* SPDX-License-Identifier: Apache-2.0 */
/* upkeep: artifacts that nobody owns go, those that somebody owns stay, damage is named. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/messages.h"
#include "storage/model_registry.h"
#include "storage/storage_call.h"
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

static const Api__CollectArtifactsResponse *collect(bool is_dry_run)
{
    Api__CollectArtifactsRequest request = API__COLLECT_ARTIFACTS_REQUEST__INIT;
    ProtobufCMessage *response;
    struct error err = {0};
    request.has_dry_run = true;
    request.dry_run = is_dry_run;
    if (storage_call(fixture.client, METHOD_COLLECT_ARTIFACTS, &request.base, &arena, &response,
                     &err) != 0)
        fail_msg("%s", err.text);
    return (const Api__CollectArtifactsResponse *)response;
}

static const Api__VerifyArtifactsResponse *verify(void)
{
    Api__VerifyArtifactsRequest request = API__VERIFY_ARTIFACTS_REQUEST__INIT;
    ProtobufCMessage *response;
    struct error err = {0};
    if (storage_call(fixture.client, METHOD_VERIFY_ARTIFACTS, &request.base, &arena, &response,
                     &err) != 0)
        fail_msg("%s", err.text);
    return (const Api__VerifyArtifactsResponse *)response;
}

static bool is_there(const struct artifact *artifact)
{
    return access(fixture_content(&fixture, artifact->id), F_OK) == 0;
}

static void a_pin_holds_until_it_is_released(void **state)
{
    (void)state;
    struct artifact artifact = put("pinned", "pin:p");
    const Api__CollectArtifactsResponse *response = collect(false);
    assert_int_equal(response->n_collected, 0);
    assert_int_equal(response->examined_count, 1);
    assert_int_equal(artifact_release(fixture.client, artifact.id, "pin:p", NULL), 0);
    response = collect(true);
    assert_int_equal(response->n_collected, 1);
    assert_string_equal(response->collected[0]->artifact->artifact_id, artifact.id);
    assert_string_equal(response->collected[0]->reason, "it has no owner");
    assert_true(is_there(&artifact)); /* nothing was done */
    assert_int_equal(collect(false)->n_collected, 1);
    assert_false(is_there(&artifact));
    assert_int_equal(collect(false)->examined_count, 0);
}

static void an_unowned_artifact_stays_for_its_time(void **state)
{
    (void)state;
    struct artifact artifact = put("resting", "pin:p");
    assert_int_equal(artifact_release(fixture.client, artifact.id, "pin:p", NULL), 0);
    assert_int_equal(collect(false)->n_collected, 0);
    assert_int_equal(collect(false)->n_collected, 0);
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
    assert_int_equal(collect(false)->n_collected, 0);
    assert_int_equal(model_unregister(fixture.client, "mood", version, NULL), 0);
    assert_int_equal(collect(false)->n_collected, 1);
    assert_false(is_there(&file.artifact));
}

static void without_an_engine_nothing_of_workflows_goes(void **state)
{
    (void)state;
    struct artifact artifact = put("of a workflow", "workflow:w");
    const Api__CollectArtifactsResponse *response = collect(false);
    assert_int_equal(response->n_collected, 0);
    assert_int_equal(response->undecided_count, 1);
    assert_true(is_there(&artifact));
}

static void damage_is_named_and_left_alone(void **state)
{
    (void)state;
    put("sound", "pin:p");
    struct artifact changed = put("changed", "pin:p");
    struct artifact cut = put("shorter", "pin:p");
    struct artifact missing = put("missing", "pin:p");
    assert_int_equal(verify()->n_damages, 0);
    const char *path = fixture_content(&fixture, changed.id);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "w");
    fputs("CHANGED", file);
    fclose(file);
    path = fixture_content(&fixture, cut.id);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(unlink(fixture_content(&fixture, missing.id)), 0);
    const Api__VerifyArtifactsResponse *response = verify();
    assert_int_equal(response->checked_count, 4);
    assert_int_equal(response->n_damages, 3);
    assert_false(response->more);
    for (size_t i = 0; i < response->n_damages; i++) {
        const Api__ArtifactDamage *damage = response->damages[i];
        const char *expected = "it is missing";
        if (strcmp(damage->artifact_id, changed.id) == 0)
            expected = "its content is not what its name says";
        else if (strcmp(damage->artifact_id, cut.id) == 0)
            expected = "it has 3 bytes instead of 7";
        else
            assert_string_equal(damage->artifact_id, missing.id);
        assert_string_equal(damage->reason, expected);
    }
    assert_true(is_there(&changed) && is_there(&cut));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
