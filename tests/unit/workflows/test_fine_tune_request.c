/* SPDX-License-Identifier: Apache-2.0 */
/* test_fine_tune_request: what a request of FineTuneWorkflow may say, and how wrong ones are named.
 */
#include "workflows/finetune/fine_tune.h"

#include <stdio.h>
#include <string.h>

#include "common/fleet_config.h"
#include "tests/test.h"

#define ID1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define ID2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define REF "{\"artifact\": \"" ID1 "\", \"size\": 9}"

static struct argosy_arena *arena;

static int arena_setup(void **state)
{
    (void)state;
    arena = argosy_arena_create();
    return arena != NULL ? 0 : -1;
}

static int arena_teardown(void **state)
{
    (void)state;
    argosy_arena_destroy(arena);
    return 0;
}

static int read_text(const char *text, struct fine_tune_request *ret_request, struct error *err)
{
    struct argosy_payload payload = argosy_payload_json(text);
    return fine_tune_request_read(&payload, arena, ret_request, err);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    struct fine_tune_request request;
    struct error err;
    assert_int_equal(read_text("{\"job_id\": \"a b\", \"name\": \"tickets\", \"dataset\": " REF "}",
                               &request, &err),
                     0);
    assert_string_equal(request.job_id, "a b");
    assert_string_equal(request.name, "tickets");
    assert_string_equal(request.base, FLEET_MODEL_DEFAULT);
    assert_string_equal(request.train.id, ID1);
    assert_int_equal(request.train.size, 9);
    assert_false(request.has_held_out);
    assert_int_equal(request.training.seed, 42);
    assert_int_equal(request.training.epochs, 200);
    assert_int_equal(request.training.patience, 10);
    assert_true(request.training.learning_rate == 0.02);
    assert_int_equal(request.training.schedule, TRAINING_COSINE);
}

static void everything_may_be_said(void **state)
{
    (void)state;
    struct fine_tune_request request;
    struct error err;
    assert_int_equal(
        read_text("{\"job_id\": \"1\", \"name\": \"x.y-z_1\", \"base\": \"tiny\","
                  " \"dataset\": {\"train\": " REF ", \"held_out\": {\"artifact\": \"" ID2
                  "\", \"size\": 3}}, \"training\": {\"seed\": 7, \"schedule\": \"linear\"}}",
                  &request, &err),
        0);
    assert_string_equal(request.base, "tiny");
    assert_true(request.has_held_out);
    assert_string_equal(request.held_out.id, ID2);
    assert_int_equal(request.training.seed, 7);
    assert_int_equal(request.training.schedule, TRAINING_LINEAR);
}

static void wrong_requests_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *request, *error;
    } wrong[] = {
        {"[]", "must be a"},
        {"{\"job_id\": \"1\"", "not JSON: line 1"},
        {"{\"job_id\": \"1\", \"job_id\": \"2\"}", "duplicate"},
        {"{}", "\"job_id\" is missing"},
        {"{\"job_id\": \"\"}", "\"job_id\" must be a string of 1 to 200 bytes"},
        {"{\"job_id\": \"1\"}", "\"name\" is missing"},
        {"{\"job_id\": \"1\", \"name\": 4}", "\"name\" must be a string"},
        {"{\"job_id\": \"1\", \"name\": \"a@1\"}", "\"name\" may have letters"},
        {"{\"job_id\": \"1\", \"name\": \".a\"}", "\"name\" may have letters"},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"base\": \"../b\"}", "\"base\" may have letters"},
        {"{\"job_id\": \"1\", \"nmae\": \"a\"}", "unknown member \"nmae\"; did you mean \"name\"?"},
        {"{\"job_id\": \"1\", \"name\": \"a\"}", "\"dataset\""},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"dataset\": {\"artifact\": \"sha256:1\"}}",
         "\"dataset\""},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"dataset\": {\"train\": " REF "}}",
         "\"train\" and \"held_out\""},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"dataset\": {\"train\": " REF ", \"held_out\": 4}}",
         "\"dataset\": \"held_out\""},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"dataset\": " REF
         ", \"training\": {\"epochs\": 0}}",
         "\"epochs\" must be 1 to 100000"},
        {"{\"job_id\": \"1\", \"name\": \"a\", \"dataset\": " REF ", \"training\": {\"epoch\": 1}}",
         "\"epochs\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fine_tune_request request = {.job_id = "untouched"};
        struct error err = {0};
        assert_int_equal(read_text(wrong[i].request, &request, &err), ERR_INVALID);
        if (strstr(err.text, wrong[i].error) == NULL)
            fail_msg("%s: %s", wrong[i].request, err.text);
        assert_string_equal(request.job_id, "untouched");
    }
    struct argosy_payload binary = argosy_payload_binary("{}", 2);
    struct fine_tune_request request;
    assert_int_equal(fine_tune_request_read(&binary, arena, &request, NULL), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(everything_may_be_said),
        cmocka_unit_test(wrong_requests_are_named),
    };
    return cmocka_run_group_tests(tests, arena_setup, arena_teardown);
}
