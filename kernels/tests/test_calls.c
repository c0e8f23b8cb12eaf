/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of one device (operation.h) called with one thing spoiled: what device.h says is
 * refused is refused and nothing is put on the stream; and with the Nth allocation of the host and,
 * on the emulator, the Nth launch failing, for every N until the call passes untouched: the failure
 * is reported as what it is, and an operation allocates nothing on the device.
 *
 *   kernels_calls <device>     (subject.h)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/tests/operation.h"
#include "kernels/tests/subject.h"

#ifdef KERNELS_EMULATED
void emulator_fail(uint32_t allocation, uint32_t launch);
#else
static void emulator_fail(uint32_t allocation, uint32_t launch)
{
    (void)allocation;
    (void)launch;
}
#endif

static const char *subject_name;
static struct bench subject;
static struct bench foreign;  /* objects of another device */
static uint32_t host_failure; /* the Nth host allocation from now on fails; 0: none */

static bool is_failing(void)
{
    return host_failure > 0 && --host_failure == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return is_failing() ? NULL : __real_calloc(count, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return is_failing() ? NULL : __real_aligned_alloc(alignment, size);
}

static struct problem problem_small(const struct operation *operation, const struct bench *bench)
{
    return problem_create(operation, &operation->sizes[0], 0, device_info(bench->device)->precision,
                          1);
}

/* ---- refusals ---- */

static void assert_refused(const struct problem *problem, const struct call *call, const char *why)
{
    int r = problem->operation->run(problem, call);

    /* A head width beyond all may also be called unsupported. */
    if (r != KERNEL_BAD_ARGUMENT && !(problem->operation->has_heads && r == KERNEL_UNSUPPORTED))
        fail_msg("%s with %s: %s", problem->operation->name, why, kernel_status_text(r));
}

static void pointers_refused(const struct problem *problem, const struct call *good)
{
    struct call call = *good;

    for (size_t i = 0; i <= problem->operation->inputs; i++) {
        bool is_out = i == problem->operation->inputs;
        const char *kept = is_out ? good->out : good->in[i];
        for (size_t off = 1; off < DEVICE_ALIGNMENT; off *= 2) {
            call = *good;
            if (is_out)
                call.out = (char *)good->out + off;
            else
                call.in[i] = kept + off;
            assert_refused(problem, &call, is_out ? "a crooked output" : "a crooked input");
        }
        call = *good;
        if (is_out)
            call.out = NULL;
        else
            call.in[i] = NULL;
        assert_refused(problem, &call, is_out ? "no output" : "no input");
        call = *good;
        if (!is_out && !problem->operation->is_in_place) {
            call.out = (void *)(uintptr_t)good->in[i];
            assert_refused(problem, &call, "the input as output");
        }
    }
}

static void sizes_refused(const struct problem *problem, const struct call *good)
{
    struct call call = *good;

    if (problem->operation->has_rows) {
        call.rows = 0;
        assert_refused(problem, &call, "no rows");
        call.rows = DEVICE_ROWS_MAX + 1;
        assert_refused(problem, &call, "too many rows");
    }
    call = *good;
    if (problem->operation->has_width) {
        call.width = 0;
        assert_refused(problem, &call, "no width");
        call.width = DEVICE_WIDTH_MAX + 1;
        assert_refused(problem, &call, "too wide rows");
    }
}

static void objects_refused(const struct problem *problem, const struct call *good,
                            const struct call *other)
{
    const struct operation *operation = problem->operation;
    struct token_batch *empty;
    struct call call = *good;

    call.stream = NULL;
    assert_refused(problem, &call, "no stream");
    if (operation->has_batch) {
        assert_int_equal(token_batch_create(subject.device, 1, 1, &empty), KERNEL_OK);
        struct token_batch *const batches[] = {NULL, empty, other->batch};
        for (size_t i = 0; i < 3; i++) {
            call = *good;
            call.batch = batches[i];
            assert_refused(problem, &call, "no batch of this device");
        }
        token_batch_destroy(empty);
    }
    for (int is_foreign = 0; is_foreign <= 1; is_foreign++) {
        call = *good;
        call.linear = is_foreign ? other->linear : NULL;
        call.norm = is_foreign ? other->norm : NULL;
        call.embedding = is_foreign ? other->embedding : NULL;
        if (operation->has_linear || operation->has_norm || operation->has_embedding)
            assert_refused(problem, &call, "no weight of this device");
    }
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < operations_count; i++) {
        struct problem problem = problem_small(&operations[i], &subject);
        struct run run = run_create(&subject, &problem);
        struct run other = run_create(&foreign, &problem);
        emulator_fail(0, 1); /* a launch would be noticed */
        pointers_refused(&problem, &run.call);
        sizes_refused(&problem, &run.call);
        objects_refused(&problem, &run.call, &other.call);
        emulator_fail(0, 0);
        assert_int_equal(device_stream_synchronise(subject.stream), KERNEL_OK);
        float *untouched = run_read(&run);
        for (size_t k = 0; k < (size_t)problem_out_rows(&problem) * problem_out_width(&problem);
             k++)
            assert_true(untouched[k] != untouched[k]); /* NaN, as it was made */
        free(untouched);
        assert_int_equal(problem.operation->run(&problem, &run.call), KERNEL_OK);
        run_destroy(&run);
        run_destroy(&other);
        problem_destroy(&problem);
    }
}

/* ---- faults ---- */

static void test_host_allocations(void **state)
{
    (void)state;
    for (size_t i = 0; i < operations_count; i++) {
        struct problem problem = problem_small(&operations[i], &subject);
        struct run run = run_create(&subject, &problem);
        int r = KERNEL_NO_MEMORY;
        for (uint32_t n = 1; r != KERNEL_OK; n++) {
            host_failure = n;
            r = problem.operation->run(&problem, &run.call);
            bool has_failed = host_failure == 0;
            host_failure = 0;
            assert_int_equal(r, has_failed ? KERNEL_NO_MEMORY : KERNEL_OK);
        }
        float *result = run_read(&run);
        float *again = problem_solve(&subject, &problem);
        assert_bits_equal("after failures", result, again,
                          (size_t)problem_out_rows(&problem) * problem_out_width(&problem));
        free(result);
        free(again);
        run_destroy(&run);
        problem_destroy(&problem);
    }
}

/* One launch fails; whether there were that many. The device is of no use afterwards. */
static bool launch_fails(const struct operation *operation, uint32_t n)
{
    struct bench bench = subject_open(subject_name);
    struct problem problem = problem_small(operation, &bench);
    struct run run = run_create(&bench, &problem);

    emulator_fail(0, n);
    int r = operation->run(&problem, &run.call);
    emulator_fail(0, 0);
    assert_int_equal(device_stream_synchronise(bench.stream), r);
    if (r != KERNEL_OK) {
        assert_int_equal(r, KERNEL_DEVICE_FAILED);
        assert_string_not_equal(device_error_text(bench.device), "");
        assert_int_equal(operation->run(&problem, &run.call), KERNEL_DEVICE_FAILED);
    }
    run_destroy(&run);
    problem_destroy(&problem);
    bench_close(&bench);
    return r != KERNEL_OK;
}

static void test_launches(void **state)
{
    (void)state;
    if (!subject_is_slow(&subject))
        skip(); /* launches fail at will on the emulator alone */
    for (size_t i = 0; i < operations_count; i++) {
        struct problem problem = problem_small(&operations[i], &subject);
        struct run run = run_create(&subject, &problem);
        emulator_fail(1, 0);
        assert_int_equal(operations[i].run(&problem, &run.call), KERNEL_OK);
        emulator_fail(0, 0);
        run_destroy(&run);
        problem_destroy(&problem);
        uint32_t launches = 0;
        while (launch_fails(&operations[i], launches + 1))
            launches++;
        /* A product of cuBLASLt is a launch of its own library. */
        assert_true(launches >= 1 || operations[i].has_linear);
        printf("%s: %u launches failed, one at a time\n", operations[i].name, launches);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_host_allocations),
        cmocka_unit_test(test_launches),
    };

    subject_name = argc > 1 ? argv[1] : "cpu_plain";
    subject = subject_open(subject_name);
    foreign = subject_open("reference");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&subject);
    bench_close(&foreign);
    return failed;
}
