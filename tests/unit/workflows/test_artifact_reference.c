/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_reference: what payloads say of artifacts. */
#include "tests/test.h"

#include <string.h>

#include "workflows/artifact_reference.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void written_and_read_are_equal(void **state)
{
    (void)state;
    struct artifact artifact = {.id = "sha256:" DIGEST, .size = 1048576};
    struct artifact read = {0};
    json_t *value = artifact_reference_create(&artifact);
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"artifact\":\"sha256:" DIGEST "\",\"size\":1048576}");
    assert_int_equal(artifact_reference_read(value, &read, NULL), 0);
    assert_string_equal(read.id, artifact.id);
    assert_int_equal(read.size, artifact.size);
    free(text);
    json_decref(value);
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "\"sha256:" DIGEST "\"",
        "{}",
        "{\"artifact\": \"sha256:" DIGEST "\"}",
        "{\"artifact\": \"sha256:" DIGEST "\", \"size\": -1}",
        "{\"artifact\": \"sha256:" DIGEST "\", \"size\": 1.5}",
        "{\"artifact\": \"sha256:" DIGEST "\", \"size\": \"1\"}",
        "{\"artifact\": \"" DIGEST "\", \"size\": 1}",
        "{\"artifact\": \"sha256:" DIGEST "0\", \"size\": 1}",
        "{\"artifact\": \"sha256:\", \"size\": 1}",
        "{\"artifact\": 1, \"size\": 1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct artifact artifact = {.size = 7};
        struct error err = {0};
        json_t *value = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        assert_int_equal(artifact_reference_read(value, &artifact, &err), ERR_INVALID);
        assert_true(err.text[0] != '\0');
        assert_int_equal(artifact.size, 7);
        json_decref(value);
    }
    assert_int_equal(artifact_reference_read(NULL, NULL, NULL), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read_are_equal),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
