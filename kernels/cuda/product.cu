/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing who multiplies (product.h).
 *
 * A measurement: at each of rows_measured, every candidate multiplies by the weight in turn, round
 * after round, so that a change of the clock meets all alike; the first round warms up, the medians
 * of the others count. A round is PRODUCTS_TIMED products between two events. Each row count weighs
 * the same: a candidate's cost is the sum over them of its time divided by the best one's there.
 * The product alone is timed, with the bias and without epilogue: that one is the same for every
 * algorithm of cuBLASLt.
 */
#include "kernels/cuda/product.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "kernels/cuda/cublaslt.h"

extern "C" {
#include "kernels/cuda/tuning.h"
}

/* One text, a small batch, and the micro-batches that stay in the L2 cache. */
static const uint32_t rows_measured[] = {128, 1024, 4096};
#define ROWS_COUNT     (sizeof(rows_measured) / sizeof(rows_measured[0]))
#define ROWS_LARGEST   rows_measured[ROWS_COUNT - 1]
#define ROUNDS         6u /* the first warms up */
#define PRODUCTS_TIMED 4u
/* cuBLASLt's and the own kernel. */
#define CANDIDATES_MAX (CUBLASLT_ALGORITHMS_MAX + 1)

struct products {
    enum device_precision precision;
    size_t element_bytes;
    struct cublaslt *library; /* owned; NULL with DEVICE_GEMM_OWN */
    struct tuning *tuning;    /* owned; NULL where nothing is measured */
    struct tuning_key key;    /* this device's, without a shape */
};

/* The own kernel, or an algorithm. */
struct candidate {
    bool is_own;
    struct cublaslt_algorithm algorithm;
};

struct product {
    struct product_weight weight;
    struct cublaslt_product *described; /* owned; NULL with DEVICE_GEMM_OWN */
    struct candidate chosen;
};

static int status_of(cudaError_t error, char *message, size_t message_size)
{
    if (error == cudaSuccess)
        return KERNEL_OK;
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return KERNEL_NO_MEMORY;
    }
    snprintf(message, message_size, "%s", cudaGetErrorString(error));
    return KERNEL_DEVICE_FAILED;
}

/* ---- the device ---- */

static int tuning_start(struct products *products, const struct device_info *info, const char *path,
                        char *message, size_t message_size)
{
    struct tuning_key *key = &products->key;
    int driver = 0;
    int r = status_of(cudaDriverGetVersion(&driver), message, message_size);

    if (r < 0)
        return r;
    key->driver = (uint32_t)driver;
    key->library = cublaslt_version(products->library);
    key->precision = info->precision;
    /* What the file has no room for in a name becomes a question mark. */
    snprintf(key->device, sizeof(key->device), "%s", info->name[0] ? info->name : "?");
    for (char *c = key->device; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return tuning_open(path, &products->tuning, message, message_size);
}

int products_open(struct device_info *info, const struct device_options *options,
                  struct products **ret_products, char *message, size_t message_size)
{
    struct products *products = (struct products *)calloc(1, sizeof(*products));
    int r = KERNEL_OK;

    if (!products)
        return KERNEL_NO_MEMORY;
    products->precision = info->precision;
    products->element_bytes = info->activation_bytes;
    if (options->gemm == DEVICE_GEMM_OWN) {
        snprintf(info->gemm, sizeof(info->gemm), "own tiled kernel, without tensor cores");
    } else {
        r = cublaslt_open(&products->library, message, message_size);
        if (r == KERNEL_OK) {
            uint32_t version = cublaslt_version(products->library);
            snprintf(info->gemm, sizeof(info->gemm), "cuBLASLt %u.%u.%u%s; own where it has none",
                     version / 10000, version / 100 % 100, version % 100,
                     options->tuning_file ? ", tuned" : "");
            if (options->tuning_file)
                r = tuning_start(products, info, options->tuning_file, message, message_size);
        }
    }
    if (r < 0)
        products_close(products);
    else
        *ret_products = products;
    return r;
}

void products_close(struct products *products)
{
    if (!products)
        return;
    tuning_close(products->tuning);
    cublaslt_close(products->library);
    free(products);
}

/* ---- multiplying ---- */

/* Without epilogue where the library multiplies. Errors: as product_multiply. */
static int candidate_run(const struct products *products, const struct product *product,
                         const struct candidate *candidate, enum linear_epilogue epilogue,
                         const void *x, uint32_t rows, void *y, cudaStream_t stream, char *message,
                         size_t message_size)
{
    const struct product_weight *weight = &product->weight;

    if (candidate->is_own)
        return status_of(launch_gemm(products->precision, weight->weight, weight->bias,
                                     weight->out_width, weight->in_width, epilogue, x, rows, y,
                                     stream),
                         message, message_size);
    int status = cublaslt_multiply(products->library, product->described, &candidate->algorithm, x,
                                   rows, y, stream);
    if (status == 0)
        return KERNEL_OK;
    snprintf(message, message_size, "cuBLASLt's status %d", status);
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? KERNEL_UNSUPPORTED : status_of(error, message, message_size);
}

int product_multiply(const struct products *products, const struct product *product,
                     enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y,
                     cudaStream_t stream, char *message, size_t message_size)
{
    int r = candidate_run(products, product, &product->chosen, epilogue, x, rows, y, stream,
                          message, message_size);

    if (r == KERNEL_OK && epilogue != LINEAR_PLAIN && !product->chosen.is_own)
        r = status_of(launch_epilogue(products->precision, epilogue, y, rows,
                                      product->weight.out_width, stream),
                      message, message_size);
    return r;
}

/* ---- measuring ---- */

/* What a measurement needs for its time; all or nothing. */
struct workbench {
    void *x;
    void *y;
    cudaEvent_t begin;
    cudaEvent_t end;
};

static void workbench_fini(struct workbench *bench)
{
    cudaFree(bench->x);
    cudaFree(bench->y);
    if (bench->begin)
        cudaEventDestroy(bench->begin);
    if (bench->end)
        cudaEventDestroy(bench->end);
}

/* x is filled with small numbers: a device is faster with zeros. */
static cudaError_t workbench_init(struct workbench *bench, const struct products *products,
                                  const struct product_weight *weight, cudaStream_t stream)
{
    size_t x_bytes = (size_t)ROWS_LARGEST * weight->in_width * products->element_bytes;
    size_t y_bytes = (size_t)ROWS_LARGEST * weight->out_width * products->element_bytes;
    cudaError_t error = cudaMalloc(&bench->x, x_bytes);

    if (error == cudaSuccess)
        error = cudaMalloc(&bench->y, y_bytes);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&bench->begin, cudaEventDefault);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&bench->end, cudaEventDefault);
    if (error == cudaSuccess)
        error = cudaMemsetAsync(bench->x, 0x3C, x_bytes, stream);
    return error;
}

/* One round of one candidate; *ret_ms is FLT_MAX where the library refuses it. */
static int round_time(const struct products *products, const struct product *product,
                      const struct candidate *candidate, const struct workbench *bench,
                      uint32_t rows, cudaStream_t stream, float *ret_ms, char *message,
                      size_t message_size)
{
    int r = status_of(cudaEventRecord(bench->begin, stream), message, message_size);

    for (uint32_t i = 0; i < PRODUCTS_TIMED && r == KERNEL_OK; i++)
        r = candidate_run(products, product, candidate, LINEAR_PLAIN, bench->x, rows, bench->y,
                          stream, message, message_size);
    *ret_ms = FLT_MAX;
    if (r == KERNEL_UNSUPPORTED)
        return KERNEL_OK;
    if (r == KERNEL_OK)
        r = status_of(cudaEventRecord(bench->end, stream), message, message_size);
    if (r == KERNEL_OK)
        r = status_of(cudaEventSynchronize(bench->end), message, message_size);
    if (r == KERNEL_OK)
        r = status_of(cudaEventElapsedTime(ret_ms, bench->begin, bench->end), message,
                      message_size);
    return r;
}

/* Adds each candidate's cost at one number of rows. */
static int costs_add(const struct products *products, const struct product *product,
                     const struct candidate *candidates, uint32_t count,
                     const struct workbench *bench, uint32_t rows, cudaStream_t stream,
                     double *costs, char *message, size_t message_size)
{
    float times[CANDIDATES_MAX][ROUNDS], best = FLT_MAX;

    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t c = 0; c < count; c++) {
            int r = round_time(products, product, &candidates[c], bench, rows, stream,
                               &times[c][round], message, message_size);
            if (r < 0)
                return r;
        }
    for (uint32_t c = 0; c < count; c++) {
        std::sort(times[c] + 1, times[c] + ROUNDS);
        best = std::min(best, times[c][ROUNDS / 2]);
    }
    best = std::max(best, FLT_MIN); /* where the clock has not moved */
    for (uint32_t c = 0; c < count; c++)
        costs[c] += (double)times[c][ROUNDS / 2] / best;
    return KERNEL_OK;
}

/* The candidate of the least cost; of equals, the first. */
static int candidates_measure(const struct products *products, const struct product *product,
                              const struct candidate *candidates, uint32_t count,
                              cudaStream_t stream, uint32_t *ret_best, char *message,
                              size_t message_size)
{
    double costs[CANDIDATES_MAX] = {};
    struct workbench bench = {};
    int r = status_of(workbench_init(&bench, products, &product->weight, stream), message,
                      message_size);

    for (uint32_t i = 0; i < ROWS_COUNT && r == KERNEL_OK; i++)
        r = costs_add(products, product, candidates, count, &bench, rows_measured[i], stream, costs,
                      message, message_size);
    int done = status_of(cudaStreamSynchronize(stream), message, message_size);
    workbench_fini(&bench);
    if (r == KERNEL_OK)
        r = done;
    if (r == KERNEL_OK)
        *ret_best = (uint32_t)(std::min_element(costs, costs + count) - costs);
    return r;
}

/* ---- choosing ---- */

/* What fits, the library's own order first and the own kernel last. */
static int candidates_find(const struct products *products, const struct product *product,
                           struct candidate candidates[CANDIDATES_MAX], uint32_t *ret_count,
                           char *message, size_t message_size)
{
    struct cublaslt_algorithm algorithms[CUBLASLT_ALGORITHMS_MAX];
    uint32_t count = 0;
    int r = KERNEL_OK;

    if (products->library)
        r = cublaslt_algorithms(products->library, product->described, algorithms, &count, message,
                                message_size);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < count; i++)
        candidates[i] = {.is_own = false, .algorithm = algorithms[i]};
    candidates[count] = {.is_own = true, .algorithm = {}};
    *ret_count = count + 1;
    return KERNEL_OK;
}

/* What the file says, if it still fits. */
static bool choice_use(const struct products *products, struct product *product,
                       const struct tuning_choice *choice)
{
    struct candidate candidate = {};

    if (!choice)
        return false;
    candidate.is_own = choice->is_own;
    memcpy(candidate.algorithm.data, choice->algorithm, sizeof(candidate.algorithm.data));
    if (!candidate.is_own &&
        !cublaslt_algorithm_fits(products->library, product->described, &candidate.algorithm))
        return false;
    product->chosen = candidate;
    return true;
}

/* With the file locked: read, or measured and written. */
static int product_tune(struct products *products, struct product *product, cudaStream_t setup,
                        char *message, size_t message_size)
{
    struct tuning_table *table = tuning_table(products->tuning);
    struct candidate candidates[CANDIDATES_MAX];
    struct tuning_key key = products->key;
    struct tuning_choice choice = {};
    uint32_t count = 0, best = 0;

    key.out_width = product->weight.out_width;
    key.in_width = product->weight.in_width;
    key.has_bias = product->weight.bias != nullptr;
    if (choice_use(products, product, tuning_find(table, &key)))
        return KERNEL_OK;
    int r = candidates_find(products, product, candidates, &count, message, message_size);
    if (r == KERNEL_OK && count > 1)
        r = candidates_measure(products, product, candidates, count, setup, &best, message,
                               message_size);
    if (r < 0)
        return r;
    product->chosen = candidates[best];
    choice.is_own = product->chosen.is_own;
    memcpy(choice.algorithm, product->chosen.algorithm.data, sizeof(choice.algorithm));
    tuning_put(table, &key, &choice);
    return tuning_save(products->tuning, message, message_size);
}

static int product_choose(struct products *products, struct product *product, cudaStream_t setup,
                          char *message, size_t message_size)
{
    struct candidate candidates[CANDIDATES_MAX];
    uint32_t count = 0;
    int r;

    if (!products->tuning) {
        r = candidates_find(products, product, candidates, &count, message, message_size);
        if (r == KERNEL_OK)
            product->chosen = candidates[0];
        return r;
    }
    r = tuning_lock(products->tuning, message, message_size);
    if (r < 0)
        return r;
    r = product_tune(products, product, setup, message, message_size);
    tuning_unlock(products->tuning);
    return r;
}

int product_create(struct products *products, const struct product_weight *weight,
                   cudaStream_t setup, struct product **ret_product, char *message,
                   size_t message_size)
{
    struct product *product = (struct product *)calloc(1, sizeof(*product));
    int r = KERNEL_OK;

    if (!product)
        return KERNEL_NO_MEMORY;
    product->weight = *weight;
    if (products->library)
        r = cublaslt_product_create(products->library, products->precision, weight->weight,
                                    weight->bias, weight->out_width, weight->in_width,
                                    &product->described, message, message_size);
    if (r == KERNEL_OK)
        r = product_choose(products, product, setup, message, message_size);
    if (r < 0)
        product_destroy(products, product);
    else
        *ret_product = product;
    return r;
}

void product_destroy(struct products *products, struct product *product)
{
    if (!product)
        return;
    cublaslt_product_destroy(products->library, product->described);
    free(product);
}
