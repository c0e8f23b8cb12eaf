/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines: switching, dropping, floating-point state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/coroutine.h"

#define STACK_SIZE (64 * 1024)

struct walk {
    struct coroutine *self;
    int steps;
    double sum;
};

static void walk(void *argument)
{
    struct walk *walk = argument;
    volatile double local = 0;
    for (int i = 1; i <= 3; i++) {
        local += 1.0 / i;
        walk->steps = i;
        coroutine_yield(walk->self);
    }
    walk->sum = local;
}

static void test_two_take_turns(void **state)
{
    (void)state;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 2);
    struct walk walks[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(coroutine_create(pool, walk, &walks[i], &walks[i].self, NULL), 0);
    for (int step = 1; step <= 3; step++) {
        for (int i = 0; i < 2; i++) {
            coroutine_resume(walks[i].self);
            assert_int_equal(walks[i].steps, step);
            assert_false(coroutine_is_done(walks[i].self));
        }
    }
    for (int i = 0; i < 2; i++) {
        coroutine_resume(walks[i].self);
        assert_true(coroutine_is_done(walks[i].self));
        assert_true(walks[i].sum > 1.83 && walks[i].sum < 1.84);
        coroutine_destroy(walks[i].self);
    }
    coroutine_pool_destroy(pool);
}

static void test_dropped_stacks_are_used_again(void **state)
{
    (void)state;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    for (int i = 0; i < 1000; i++) {
        struct walk one = {0};
        assert_int_equal(coroutine_create(pool, walk, &one, &one.self, NULL), 0);
        coroutine_resume(one.self);
        assert_int_equal(one.steps, 1);
        coroutine_destroy(one.self);
    }
    coroutine_pool_destroy(pool);
}

struct nest {
    struct coroutine_pool *pool;
    struct coroutine *self;
    struct walk inner;
};

static void nest(void *argument)
{
    struct nest *outer = argument;
    assert_int_equal(coroutine_create(outer->pool, walk, &outer->inner, &outer->inner.self, NULL),
                     0);
    coroutine_resume(outer->inner.self);
    coroutine_yield(outer->self);
    coroutine_resume(outer->inner.self);
    coroutine_destroy(outer->inner.self);
}

static void test_one_inside_another(void **state)
{
    (void)state;
    struct nest outer = {.pool = coroutine_pool_create(STACK_SIZE, 2)};
    assert_int_equal(coroutine_create(outer.pool, nest, &outer, &outer.self, NULL), 0);
    coroutine_resume(outer.self);
    assert_int_equal(outer.inner.steps, 1);
    coroutine_resume(outer.self);
    assert_int_equal(outer.inner.steps, 2);
    assert_true(coroutine_is_done(outer.self));
    coroutine_destroy(outer.self);
    coroutine_pool_destroy(outer.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_take_turns),
        cmocka_unit_test(test_dropped_stacks_are_used_again),
        cmocka_unit_test(test_one_inside_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
