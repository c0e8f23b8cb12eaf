/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory: arena and buffer: alignment, limits, reuse, growth. */
#include "tests/test.h"

#include <stdint.h>
#include <string.h>

#include "common/arena.h"
#include "common/buffer.h"

static void arena_gives_aligned_separate_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    unsigned char *last = NULL;
    for (size_t size = 1; size < 3000; size += 7) {
        unsigned char *data = arena_alloc(&arena, size);
        assert_non_null(data);
        assert_int_equal((uintptr_t)data % _Alignof(max_align_t), 0);
        assert_ptr_not_equal(data, last);
        memset(data, 0xa5, size);
        last = data;
    }
    arena_fini(&arena);
}

static void arena_keeps_its_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024);
    assert_non_null(arena_alloc(&arena, 1000));
    assert_null(arena_alloc(&arena, 100));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1024));
    arena_fini(&arena);
}

static void arena_copies_text(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    assert_string_equal(arena_strdup(&arena, "hello"), "hello");
    assert_null(arena_strdup(&arena, NULL));
    assert_string_equal(arena_strndup(&arena, "hello", 2), "he");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    int *zeros = arena_calloc(&arena, 100, sizeof *zeros);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    arena_fini(&arena);
}

static void buffer_grows_and_is_reused(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    for (int i = 0; i < 10000; i++)
        buffer_append_byte(&buffer, (uint8_t)i);
    assert_int_equal(buffer.size, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buffer.data[i], (uint8_t)i);
    size_t capacity = buffer.capacity;
    buffer_clear(&buffer);
    buffer_append_text(&buffer, "a=");
    buffer_printf(&buffer, "%d", 12345);
    assert_string_equal(buffer_text(&buffer), "a=12345");
    assert_int_equal(buffer.size, 7);
    assert_int_equal(buffer.capacity, capacity);
    buffer_fini(&buffer);
}

static void buffer_failure_is_sticky(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_append_text(&buffer, "x");
    assert_null(buffer_reserve(&buffer, SIZE_MAX - 8));
    assert_true(buffer.failed);
    buffer_append_text(&buffer, "y");
    assert_int_equal(buffer.size, 1);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_clear(&buffer);
    buffer_append_text(&buffer, "z");
    assert_string_equal(buffer_text(&buffer), "z");
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_aligned_separate_memory),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(buffer_grows_and_is_reused),
        cmocka_unit_test(buffer_failure_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
