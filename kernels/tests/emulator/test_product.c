/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who multiplies on a CUDA device (cuda/product.h), with the fake cuBLASLt, whose algorithms have
 * the speeds that a test gives them on the emulator's clock: the fastest that fits is chosen, once,
 * for every number of rows; the choice is kept in the tuning file and read back; a file that is
 * damaged, foreign or cannot be written is no silent matter; faults while measuring are reported.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/device.h"
#include "kernels/tests/emulator/fake_cublaslt.h"

void emulator_fail(uint32_t allocation, uint32_t launch);
void emulator_speed(double us_per_block);
uint64_t emulator_launches(void);

enum { OUT = 8, IN = 4, ROWS = 200, FAULTS_MAX = 300 };

static struct fake_cublaslt *library;
static uint32_t host_failure; /* the Nth host allocation from now on fails; 0: none */
static char folder[] = "/tmp/kernels_product_XXXXXX";
static char path[64], path_new[72], path_lock[72];

static float weight[OUT * IN], bias[OUT];

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    bool is_failing = host_failure > 0 && --host_failure == 0;

    return is_failing ? NULL : __real_calloc(count, size);
}

/* A device with one weight; NULL without. */
struct one {
    struct device *device;
    struct device_stream *stream;
    struct linear_weight *linear;
    void *x, *y;
};

static void one_close(struct one *one)
{
    linear_weight_destroy(one->linear);
    if (one->device) {
        device_free(one->device, one->x);
        device_free(one->device, one->y);
    }
    device_stream_destroy(one->stream);
    device_close(one->device);
    *one = (struct one){0};
}

static int one_make(struct one *one, const char *tuning_file, enum device_precision precision,
                    uint32_t out, char *message, size_t size)
{
    const struct device_options options = {
        .kind = DEVICE_CUDA, .precision = precision, .tuning_file = tuning_file};
    int r = device_open(&options, &one->device, message, size);

    if (r == KERNEL_OK)
        r = device_stream_create(one->device, &one->stream);
    if (r == KERNEL_OK)
        r = linear_weight_create(one->device, weight, bias, out, IN, &one->linear);
    if (r == KERNEL_OK)
        r = device_alloc(one->device, ROWS * IN * sizeof(float), &one->x);
    if (r == KERNEL_OK)
        r = device_alloc(one->device, ROWS * OUT * sizeof(float), &one->y);
    return r;
}

static struct one one_open(const char *tuning_file)
{
    struct one one = {0};
    char message[256] = "";

    if (one_make(&one, tuning_file, DEVICE_FP32, OUT, message, sizeof(message)) < 0)
        fail_msg("%s, %s", message, one.device ? device_error_text(one.device) : "");
    return one;
}

/* Multiplies `rows` rows of x; what is in y afterwards, if asked. */
static void multiply(struct one *one, uint32_t rows, float *ret_y)
{
    static float x[ROWS * IN];

    for (uint32_t i = 0; i < ROWS * IN; i++)
        x[i] = 1.0f / (float)(3 + i % 97);
    assert_int_equal(device_copy_to_device(one->stream, one->x, x, sizeof(x)), KERNEL_OK);
    assert_int_equal(op_linear(one->stream, one->linear, LINEAR_GELU, one->x, rows, one->y),
                     KERNEL_OK);
    if (ret_y)
        assert_int_equal(
            device_copy_to_host(one->stream, ret_y, one->y, rows * OUT * sizeof(float)), KERNEL_OK);
    assert_int_equal(device_stream_synchronise(one->stream), KERNEL_OK);
}

/* Which algorithm multiplies; 0: the own kernel. */
static uint32_t user_of(struct one *one, uint32_t rows)
{
    uint32_t before[FAKE_ALGORITHMS], user = 0, users = 0;

    memcpy(before, library->products, sizeof(before));
    multiply(one, rows, NULL);
    for (uint32_t i = 0; i < FAKE_ALGORITHMS; i++)
        if (library->products[i] != before[i]) {
            assert_int_equal(library->products[i], before[i] + 1);
            user = i;
            users++;
        }
    assert_true(users <= 1);
    return user;
}

static uint32_t products(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < FAKE_ALGORITHMS; i++)
        sum += library->products[i];
    return sum;
}

static void speeds(double in_order, double backwards, double own_block)
{
    library->us_per_row[FAKE_IN_ORDER] = in_order;
    library->us_per_row[FAKE_BACKWARDS] = backwards;
    emulator_speed(own_block);
}

static int each_before(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path_new);
    speeds(2, 1, 1000);
    return 0;
}

static size_t file_read(char *to, size_t size)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t length = fread(to, 1, size - 1, file);
    fclose(file);
    to[length] = '\0';
    return length;
}

static void file_write(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint32_t lines_of(const char *text)
{
    uint32_t lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* Without a file: the first proposal that fits, and nothing is measured. */
static void test_untuned(void **state)
{
    uint32_t before = products();
    struct one one = one_open(NULL);

    (void)state;
    assert_int_equal(products(), before);
    assert_int_equal(user_of(&one, 7), FAKE_IN_ORDER);
    assert_string_equal(device_info(one.device)->gemm, "cuBLASLt 13.0.2; own where it has none");
    one_close(&one);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_fastest(void **state)
{
    static const struct {
        double in_order, backwards, own_block;
        uint32_t user;
    } cases[] = {
        {2, 1, 1000, FAKE_BACKWARDS},
        {1, 2, 1000, FAKE_IN_ORDER},
        {1, 1, 1000, FAKE_IN_ORDER}, /* of equals, the first */
        {2, 1, 0.001, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unlink(path);
        speeds(cases[i].in_order, cases[i].backwards, cases[i].own_block);
        struct one one = one_open(path);
        assert_int_equal(user_of(&one, 7), cases[i].user);
        assert_string_equal(device_info(one.device)->gemm,
                            "cuBLASLt 13.0.2, tuned; own where it has none");
        one_close(&one);
    }
    assert_true(library->products[FAKE_BREAKS] > 0); /* it was tried, and passed over */
}

/* One algorithm for the weight, whatever the rows; a row's bits do not depend on the others. */
static void test_every_number_of_rows(void **state)
{
    static const uint32_t rows[] = {1, 2, 31, 32, 33, 64, 127, 128, 129, 200};
    static float alone[ROWS * OUT], together[ROWS * OUT];
    struct one one = one_open(path);

    (void)state;
    multiply(&one, ROWS, together);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(user_of(&one, rows[i]), FAKE_BACKWARDS);
        multiply(&one, rows[i], alone);
        assert_memory_equal(alone, together, rows[i] * OUT * sizeof(float));
    }
    one_close(&one);
}

/* The second time nothing is measured, and what was chosen is kept though speeds have changed. */
static void test_read_back(void **state)
{
    struct one one = one_open(path);
    char before[1024], after[1024];

    (void)state;
    file_read(before, sizeof(before));
    assert_int_equal(lines_of(before), 2);
    assert_non_null(strstr(before, " fp32 8 4 1 13000 130002 0000000000000005"));
    assert_non_null(strstr(before, " emulator\n"));
    one_close(&one);
    speeds(0.1, 2, 0.001);
    uint32_t products_before = products();
    uint64_t launches_before = emulator_launches();
    one = one_open(path);
    assert_int_equal(products(), products_before);
    assert_int_equal(emulator_launches(), launches_before);
    assert_int_equal(user_of(&one, 7), FAKE_BACKWARDS);
    one_close(&one);
    file_read(after, sizeof(after));
    assert_string_equal(after, before);

    /* Another shape and another precision are choices of their own. */
    struct one half = {0};
    assert_int_equal(one_make(&half, path, DEVICE_BF16, OUT, after, sizeof(after)), KERNEL_OK);
    assert_int_equal(user_of(&half, 7), 0);
    one_close(&half);
    file_read(after, sizeof(after));
    assert_int_equal(lines_of(after), 3);
    assert_non_null(strstr(after, " bf16 8 4 1 13000 130002 own emulator\n"));
}

/* A shape that the library has nothing for: the own kernel, and nothing to measure. */
static void test_narrow(void **state)
{
    struct one one = {0};
    uint32_t before = products();
    char text[1024];

    (void)state;
    for (int tuned = 0; tuned <= 1; tuned++) {
        assert_int_equal(
            one_make(&one, tuned ? path : NULL, DEVICE_FP32, FAKE_OUT_MIN - 1, text, sizeof(text)),
            KERNEL_OK);
        assert_int_equal(user_of(&one, 7), 0);
        one_close(&one);
    }
    assert_int_equal(products(), before);
    file_read(text, sizeof(text));
    assert_non_null(strstr(text, " fp32 3 4 1 13000 130002 own emulator\n"));
}

/* The lines of one choice under another name, with the right sum. */
static void entry_print(char *to, size_t size, const char *rest)
{
    unsigned long long sum = 0xcbf29ce484222325u;

    for (const char *c = rest; *c; c++)
        sum = (sum ^ (unsigned char)*c) * 0x100000001b3u;
    snprintf(to, size, "argosy-tuning 1\n%016llx %s\n", sum, rest);
}

/* A choice of another device is kept and not used; one that no longer fits is measured anew. */
static void test_foreign(void **state)
{
#define ZEROS                                                                                      \
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"       \
    "00000000000000000000000000"
    static const char *const foreign[] = {
        "fp32 8 4 1 13000 130002 own NVIDIA H200",
        "fp32 8 4 1 12000 130002 own emulator",
        "fp32 8 4 1 13000 130001 own emulator",
    };
    static const char *const unfit[] = {
        "fp32 8 4 1 13000 130002 0000000000000001" ZEROS " emulator", /* splits k */
        "fp32 8 4 1 13000 130002 0000000000000002" ZEROS " emulator", /* needs workspace */
        "fp32 8 4 1 13000 130002 0000000000000003" ZEROS " emulator", /* refused */
        "fp32 8 4 1 13000 130002 ffffffffffffffff" ZEROS " emulator", /* unknown */
    };
    char text[1024], after[2048];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        entry_print(text, sizeof(text), foreign[i]);
        file_write(text);
        struct one one = one_open(path);
        assert_int_equal(user_of(&one, 7), FAKE_BACKWARDS);
        one_close(&one);
        file_read(after, sizeof(after));
        assert_int_equal(lines_of(after), 3);
        assert_memory_equal(after, text, strlen(text));
    }
    for (size_t i = 0; i < 4; i++) {
        entry_print(text, sizeof(text), unfit[i]);
        file_write(text);
        struct one one = one_open(path);
        assert_int_equal(user_of(&one, 7), FAKE_BACKWARDS);
        one_close(&one);
        file_read(after, sizeof(after));
        assert_int_equal(lines_of(after), 2);
        assert_null(strstr(after, unfit[i]));
    }
}

/* Damage is told, at opening and later, and the file is left as it is. */
static void test_damaged(void **state)
{
    struct one one = {0};
    struct linear_weight *linear = NULL;
    char text[2048] = "";

    (void)state;
    file_write("argosy-tuning 1\nrubbish\n");
    assert_int_equal(one_make(&one, path, DEVICE_FP32, OUT, text, sizeof(text)),
                     KERNEL_BAD_ARGUMENT);
    assert_null(one.device);
    assert_non_null(strstr(text, path));
    assert_non_null(strstr(text, "line 2"));
    unlink(path);
    one = one_open(path);
    file_write("argosy-tuning 1\nrubbish\n");
    assert_int_equal(linear_weight_create(one.device, weight, bias, OUT, IN, &linear),
                     KERNEL_BAD_ARGUMENT);
    assert_null(linear);
    assert_non_null(strstr(device_error_text(one.device), "line 2"));
    file_read(text, sizeof(text));
    assert_string_equal(text, "argosy-tuning 1\nrubbish\n");

    /* Not written: told, and the device goes on. */
    unlink(path);
    assert_int_equal(mkdir(path_new, 0700), 0);
    assert_int_equal(linear_weight_create(one.device, weight, bias, OUT, IN, &linear),
                     KERNEL_SYSTEM);
    assert_non_null(strstr(device_error_text(one.device), path_new));
    assert_int_equal(rmdir(path_new), 0);
    assert_int_equal(linear_weight_create(one.device, weight, bias, OUT, IN, &linear), KERNEL_OK);
    linear_weight_destroy(linear);
    one_close(&one);

    assert_int_equal(one_make(&one, "/nowhere/at/all", DEVICE_FP32, OUT, text, sizeof(text)),
                     KERNEL_SYSTEM);
    one_close(&one);
}

/* Whether the Nth fault happened. It is told as what it is, nothing is left of it in the file, and
 * the next try works. */
static bool tune_with_fault(uint32_t host, uint32_t allocation, uint32_t launch)
{
    struct one one = {0};
    char message[256] = "";

    unlink(path);
    host_failure = host;
    emulator_fail(allocation, launch);
    int r = one_make(&one, path, DEVICE_FP32, OUT, message, sizeof(message));
    host_failure = 0;
    emulator_fail(0, 0);
    if (r == KERNEL_OK) {
        assert_int_equal(user_of(&one, 7), FAKE_BACKWARDS);
    } else if (launch == 0) {
        assert_int_equal(r, KERNEL_NO_MEMORY);
    } else {
        assert_int_equal(r, KERNEL_DEVICE_FAILED);
        assert_non_null(strstr(device_error_text(one.device), "invalid argument"));
        assert_int_not_equal(access(path, F_OK), 0);
    }
    one_close(&one);
    return r != KERNEL_OK;
}

static void test_faults(void **state)
{
    uint32_t hosts = 1, allocations = 1, launches = 1;

    (void)state;
    while (hosts < FAULTS_MAX && tune_with_fault(hosts, 0, 0))
        hosts++;
    while (allocations < FAULTS_MAX && tune_with_fault(0, allocations, 0))
        allocations++;
    /* The own kernel's launches are alike: of the later ones some. */
    while (launches < FAULTS_MAX && tune_with_fault(0, 0, launches))
        launches += launches < 12 ? 1 : 11;
    assert_in_range(hosts, 6, FAULTS_MAX - 1);
    assert_in_range(allocations, 8, FAULTS_MAX - 1);
    assert_in_range(launches, 8, FAULTS_MAX - 1);
    printf("%u host allocations, %u device allocations and launches up to %u failed\n", hosts - 1,
           allocations - 1, launches - 1);
    struct one one = one_open(path);
    assert_int_equal(user_of(&one, 7), FAKE_BACKWARDS);
    one_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_untuned, each_before),
        cmocka_unit_test_setup(test_fastest, each_before),
        cmocka_unit_test_setup(test_every_number_of_rows, each_before),
        cmocka_unit_test_setup(test_read_back, each_before),
        cmocka_unit_test_setup(test_narrow, each_before),
        cmocka_unit_test_setup(test_foreign, each_before),
        cmocka_unit_test_setup(test_damaged, each_before),
        cmocka_unit_test_setup(test_faults, each_before),
    };
    /* The one that the device opens, and which stays. */
    void *loaded = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);

    library = loaded ? dlsym(loaded, "fake_cublaslt") : NULL;
    if (!library || !mkdtemp(folder)) {
        fprintf(stderr, "no fake cuBLASLt, or no folder\n");
        return 1;
    }
    for (int i = 0; i < OUT * IN; i++)
        weight[i] = 1.0f / (float)(2 + i);
    snprintf(path, sizeof(path), "%s/tuning", folder);
    snprintf(path_new, sizeof(path_new), "%s.new", path);
    snprintf(path_lock, sizeof(path_lock), "%s.lock", path);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(path_lock);
    rmdir(folder);
    return failed;
}
