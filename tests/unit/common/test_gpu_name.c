/* SPDX-License-Identifier: Apache-2.0 */
/* test_gpu_name: what names a GPU, and which GPU it means. */
#include "tests/test.h"

#include <string.h>

#include "common/gpu_name.h"

static void names_are_told_from_nonsense(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0",       "7",
        "63",      "GPU-11111111-2222-3333-4444-555555555555",
        "3b:00.0", "0000:3b:00.0",
        "3B:00",   "00000000:AF:00.0",
        "MIG-5",   "MIG-GPU-11111111-2222-3333-4444-555555555555/1/0",
    };
    static const char *const bad[] = {
        "",         "-1",      "all",  "1000",     "0x1",
        "GPU-",     "gpu-1",   "MIG-", "GPU-zz",   "3b:0.x",
        "3b:00.0 ", "3b:00.",  "3b",   "::",       ":3b:00",
        "3b:00.00", "1:2:3:4", "+1:2", "3b:000.0", "123456789:3b:00.0",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (gpu_name_check(good[i]) != NULL)
            fail_msg("\"%s\" %s", good[i], gpu_name_check(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (gpu_name_check(bad[i]) == NULL)
            fail_msg("\"%s\" is taken for a GPU", bad[i]);
    }
    char longest[65];
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "GPU-", 4);
    longest[64] = '\0';
    assert_string_equal(gpu_name_check(longest), "is longer than a GPU's name");
}

static void names_mean_their_gpu_only(void **state)
{
    (void)state;
    const struct hardware_gpu gpu = {
        .minor = 3, .ordinal = 1, .bus_id = "0000:3b:00.0", .uuid = "GPU-aa11"};
    assert_true(gpu_name_means("1", &gpu));
    assert_false(gpu_name_means("3", &gpu));
    assert_true(gpu_name_means("3b:00.0", &gpu));
    assert_true(gpu_name_means("00000000:3B:00.0", &gpu));
    assert_true(gpu_name_means("3b:00", &gpu));
    assert_false(gpu_name_means("3b:00.1", &gpu));
    assert_false(gpu_name_means("0001:3b:00.0", &gpu));
    assert_true(gpu_name_means("GPU-AA11", &gpu));
    assert_false(gpu_name_means("GPU-aa", &gpu));
    const struct hardware_gpu slice = {
        .minor = -1, .ordinal = -1, .bus_id = "0000:3b:00.0", .uuid = "MIG-5"};
    assert_true(gpu_name_means("MIG-5", &slice));
    assert_true(gpu_name_means("3b:00.0", &slice));
    assert_false(gpu_name_means("1", &slice));
    const struct hardware_gpu unknown = {.minor = 0, .ordinal = 0};
    assert_true(gpu_name_means("0", &unknown));
    assert_false(gpu_name_means("3b:00.0", &unknown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_from_nonsense),
        cmocka_unit_test(names_mean_their_gpu_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
