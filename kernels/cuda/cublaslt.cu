/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuBLASLt behind dlopen (cublaslt.h). The prototypes, attribute numbers and struct sizes below are
 * our own writing of the library's documented interface, the same in its versions 12 and 13.
 *
 * cuBLASLt thinks in column-major matrices: our row-major y [rows, out] is its D (out x rows), x is
 * its B (in x rows), and W [out, in] is its A (in x out), used transposed; the bias then runs along
 * D's rows, as its bias epilogue wants it.
 */
#include "kernels/cuda/cublaslt.h"

#include <dlfcn.h>
#include <library_types.h>
#include <stdio.h>
#include <stdlib.h>

typedef int cublas_status; /* 0 is success */

/* cublasLtMatmulHeuristicResult_t; struct cublaslt_algorithm is cublasLtMatmulAlgo_t */
struct lt_heuristic {
    struct cublaslt_algorithm algorithm;
    size_t workspace_bytes;
    cublas_status state;
    float waves;
    int reserved[4];
};

enum {
    LT_STATUS_NOT_SUPPORTED = 15,
    LT_COMPUTE_32F = 68,
    LT_OP_T = 1,
    LT_EPILOGUE_BIAS = 4,
    /* cublasLtMatmulDescAttributes_t */
    LT_DESC_TRANSA = 3,
    LT_DESC_EPILOGUE = 7,
    LT_DESC_BIAS_POINTER = 8,
    /* cublasLtMatmulPreferenceAttributes_t */
    LT_PREF_MAX_WORKSPACE_BYTES = 1,
    LT_PREF_REDUCTION_SCHEME_MASK = 3,
    LT_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    LT_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    LT_PREF_MIN_ALIGNMENT_D_BYTES = 8,
    /* cublasLtMatmulAlgoConfigAttributes_t */
    LT_ALGO_SPLITK_NUM = 2,
};

/* Handles and descriptors are pointers to what only the library knows. */
struct lt_functions {
    cublas_status (*Create)(void **handle);
    cublas_status (*Destroy)(void *handle);
    size_t (*GetVersion)(void);
    cublas_status (*MatmulDescCreate)(void **desc, int compute, cudaDataType scale);
    cublas_status (*MatmulDescDestroy)(void *desc);
    cublas_status (*MatmulDescSetAttribute)(void *desc, int attribute, const void *from,
                                            size_t bytes);
    cublas_status (*MatrixLayoutCreate)(void **layout, cudaDataType type, uint64_t rows,
                                        uint64_t columns, int64_t stride);
    cublas_status (*MatrixLayoutDestroy)(void *layout);
    cublas_status (*MatmulPreferenceCreate)(void **preference);
    cublas_status (*MatmulPreferenceDestroy)(void *preference);
    cublas_status (*MatmulPreferenceSetAttribute)(void *preference, int attribute, const void *from,
                                                  size_t bytes);
    cublas_status (*MatmulAlgoGetHeuristic)(void *handle, void *desc, void *a, void *b, void *c,
                                            void *d, void *preference, int wanted,
                                            struct lt_heuristic *results, int *ret_count);
    cublas_status (*MatmulAlgoConfigGetAttribute)(const struct cublaslt_algorithm *algorithm,
                                                  int attribute, void *to, size_t bytes,
                                                  size_t *ret_bytes);
    cublas_status (*MatmulAlgoCheck)(void *handle, void *desc, void *a, void *b, void *c, void *d,
                                     const struct cublaslt_algorithm *algorithm,
                                     struct lt_heuristic *result);
    cublas_status (*Matmul)(void *handle, void *desc, const void *alpha, const void *a,
                            void *a_layout, const void *b, void *b_layout, const void *beta,
                            const void *c, void *c_layout, void *d, void *d_layout,
                            const struct cublaslt_algorithm *algorithm, void *workspace,
                            size_t workspace_bytes, cudaStream_t stream);
};

struct cublaslt {
    struct lt_functions call;
    void *handle;
};

struct cublaslt_product {
    cudaDataType type;
    uint32_t out_width;
    uint32_t in_width;
    const void *weight; /* borrowed */
    void *desc;         /* owned: the operation with its bias */
    void *a;            /* owned: the weight's layout */
};

/* The layouts of x and y for one number of rows. */
struct layouts {
    void *b;
    void *d;
};

/* Row counts that an algorithm is asked about: it is proposed for the typical one, and must do all.
 */
#define ROWS_TYPICAL 4096u
static const uint32_t rows_tried[] = {1, 7, 64, 1000, ROWS_TYPICAL, 65536};

/* The library is opened once by each device and stays: CUDA libraries do not survive dlclose. */
static void *library_load(char *message, size_t message_size)
{
    void *library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        library = dlopen("libcublasLt.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        snprintf(message, message_size, "cuBLASLt cannot be opened: %s", dlerror());
    return library;
}

static bool functions_find(void *library, struct lt_functions *call, char *message,
                           size_t message_size)
{
    const struct {
        const char *name;
        void **to;
    } wanted[] = {
        {"cublasLtCreate", (void **)&call->Create},
        {"cublasLtDestroy", (void **)&call->Destroy},
        {"cublasLtGetVersion", (void **)&call->GetVersion},
        {"cublasLtMatmulDescCreate", (void **)&call->MatmulDescCreate},
        {"cublasLtMatmulDescDestroy", (void **)&call->MatmulDescDestroy},
        {"cublasLtMatmulDescSetAttribute", (void **)&call->MatmulDescSetAttribute},
        {"cublasLtMatrixLayoutCreate", (void **)&call->MatrixLayoutCreate},
        {"cublasLtMatrixLayoutDestroy", (void **)&call->MatrixLayoutDestroy},
        {"cublasLtMatmulPreferenceCreate", (void **)&call->MatmulPreferenceCreate},
        {"cublasLtMatmulPreferenceDestroy", (void **)&call->MatmulPreferenceDestroy},
        {"cublasLtMatmulPreferenceSetAttribute", (void **)&call->MatmulPreferenceSetAttribute},
        {"cublasLtMatmulAlgoGetHeuristic", (void **)&call->MatmulAlgoGetHeuristic},
        {"cublasLtMatmulAlgoConfigGetAttribute", (void **)&call->MatmulAlgoConfigGetAttribute},
        {"cublasLtMatmulAlgoCheck", (void **)&call->MatmulAlgoCheck},
        {"cublasLtMatmul", (void **)&call->Matmul},
    };

    for (const auto &one : wanted) {
        *one.to = dlsym(library, one.name);
        if (!*one.to) {
            snprintf(message, message_size, "cuBLASLt has no %s", one.name);
            return false;
        }
    }
    return true;
}

int cublaslt_open(struct cublaslt **ret_library, char *message, size_t message_size)
{
    void *loaded = library_load(message, message_size);
    struct cublaslt *library;

    if (!loaded)
        return KERNEL_NO_LIBRARY;
    library = (struct cublaslt *)calloc(1, sizeof(*library));
    if (!library)
        return KERNEL_NO_MEMORY;
    if (!functions_find(loaded, &library->call, message, message_size)) {
        cublaslt_close(library);
        return KERNEL_NO_LIBRARY;
    }
    cublas_status status = library->call.Create(&library->handle);
    if (status != 0) {
        snprintf(message, message_size, "cuBLASLt cannot make a handle: status %d", status);
        cublaslt_close(library);
        return KERNEL_NO_LIBRARY;
    }
    *ret_library = library;
    return KERNEL_OK;
}

void cublaslt_close(struct cublaslt *library)
{
    if (!library)
        return;
    if (library->handle)
        library->call.Destroy(library->handle);
    free(library);
}

uint32_t cublaslt_version(const struct cublaslt *library)
{
    return (uint32_t)library->call.GetVersion();
}

static void layouts_destroy(struct cublaslt *library, struct layouts *layouts)
{
    if (layouts->b)
        library->call.MatrixLayoutDestroy(layouts->b);
    if (layouts->d)
        library->call.MatrixLayoutDestroy(layouts->d);
}

static cublas_status layouts_create(struct cublaslt *library,
                                    const struct cublaslt_product *product, uint32_t rows,
                                    struct layouts *ret_layouts)
{
    struct layouts layouts = {};
    cublas_status status = library->call.MatrixLayoutCreate(
        &layouts.b, product->type, product->in_width, rows, product->in_width);

    if (status == 0)
        status = library->call.MatrixLayoutCreate(&layouts.d, product->type, product->out_width,
                                                  rows, product->out_width);
    if (status != 0)
        layouts_destroy(library, &layouts);
    else
        *ret_layouts = layouts;
    return status;
}

static int refuse(uint32_t out_width, uint32_t in_width, cublas_status status, char *message,
                  size_t message_size)
{
    snprintf(message, message_size, "cuBLASLt takes no weight of %u x %u: status %d", out_width,
             in_width, status);
    return KERNEL_UNSUPPORTED;
}

/* Every number of rows, in one pass over k and without workspace. */
bool cublaslt_algorithm_fits(struct cublaslt *library, const struct cublaslt_product *product,
                             const struct cublaslt_algorithm *algorithm)
{
    int32_t splits = 0;
    size_t written;

    if (library->call.MatmulAlgoConfigGetAttribute(algorithm, LT_ALGO_SPLITK_NUM, &splits,
                                                   sizeof(splits), &written) != 0 ||
        splits > 1)
        return false;
    for (uint32_t rows : rows_tried) {
        struct layouts layouts;
        struct lt_heuristic result;
        if (layouts_create(library, product, rows, &layouts) != 0)
            return false;
        cublas_status status =
            library->call.MatmulAlgoCheck(library->handle, product->desc, product->a, layouts.b,
                                          layouts.d, layouts.d, algorithm, &result);
        layouts_destroy(library, &layouts);
        if (status != 0 || result.workspace_bytes > 0)
            return false;
    }
    return true;
}

static cublas_status preference_create(struct cublaslt *library, void **ret_preference)
{
    uint64_t workspace_bytes = 0;
    uint32_t reductions = 0; /* none: sums over k are not put together from parts */
    uint32_t alignment = DEVICE_ALIGNMENT;
    const struct {
        int attribute;
        const void *from;
        size_t bytes;
    } wanted[] = {
        {LT_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof(workspace_bytes)},
        {LT_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof(reductions)},
        {LT_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof(alignment)},
        {LT_PREF_MIN_ALIGNMENT_C_BYTES, &alignment, sizeof(alignment)},
        {LT_PREF_MIN_ALIGNMENT_D_BYTES, &alignment, sizeof(alignment)},
    };
    void *preference = nullptr;
    cublas_status status = library->call.MatmulPreferenceCreate(&preference);

    if (status != 0)
        return status;
    for (const auto &one : wanted)
        if (status == 0)
            status = library->call.MatmulPreferenceSetAttribute(preference, one.attribute, one.from,
                                                                one.bytes);
    if (status != 0)
        library->call.MatmulPreferenceDestroy(preference);
    else
        *ret_preference = preference;
    return status;
}

int cublaslt_algorithms(struct cublaslt *library, const struct cublaslt_product *product,
                        struct cublaslt_algorithm ret_algorithms[CUBLASLT_ALGORITHMS_MAX],
                        uint32_t *ret_count, char *message, size_t message_size)
{
    struct lt_heuristic proposals[CUBLASLT_ALGORITHMS_MAX];
    struct layouts layouts;
    void *preference = nullptr;
    int proposed = 0;
    uint32_t count = 0;
    cublas_status status = preference_create(library, &preference);

    if (status == 0) {
        status = layouts_create(library, product, ROWS_TYPICAL, &layouts);
        if (status == 0) {
            status = library->call.MatmulAlgoGetHeuristic(
                library->handle, product->desc, product->a, layouts.b, layouts.d, layouts.d,
                preference, (int)CUBLASLT_ALGORITHMS_MAX, proposals, &proposed);
            layouts_destroy(library, &layouts);
        }
        library->call.MatmulPreferenceDestroy(preference);
    }
    if (status == LT_STATUS_NOT_SUPPORTED)
        proposed = 0; /* it has none for this shape */
    else if (status != 0)
        return refuse(product->out_width, product->in_width, status, message, message_size);
    for (int i = 0; i < proposed; i++)
        if (proposals[i].state == 0 &&
            cublaslt_algorithm_fits(library, product, &proposals[i].algorithm))
            ret_algorithms[count++] = proposals[i].algorithm;
    *ret_count = count;
    return KERNEL_OK;
}

static cudaDataType element_type(enum device_precision precision)
{
    switch (precision) {
    case DEVICE_FP16:
        return CUDA_R_16F;
    case DEVICE_BF16:
        return CUDA_R_16BF;
    case DEVICE_FP32:
        break;
    }
    return CUDA_R_32F;
}

static cublas_status product_describe(struct cublaslt *library, struct cublaslt_product *product,
                                      const void *bias)
{
    int32_t transposed = LT_OP_T, epilogue = LT_EPILOGUE_BIAS;
    const struct lt_functions *call = &library->call;
    cublas_status status = call->MatmulDescCreate(&product->desc, LT_COMPUTE_32F, CUDA_R_32F);

    if (status == 0)
        status = call->MatmulDescSetAttribute(product->desc, LT_DESC_TRANSA, &transposed,
                                              sizeof(transposed));
    if (status == 0 && bias)
        status = call->MatmulDescSetAttribute(product->desc, LT_DESC_EPILOGUE, &epilogue,
                                              sizeof(epilogue));
    if (status == 0 && bias)
        status =
            call->MatmulDescSetAttribute(product->desc, LT_DESC_BIAS_POINTER, &bias, sizeof(bias));
    if (status == 0)
        status = call->MatrixLayoutCreate(&product->a, product->type, product->in_width,
                                          product->out_width, product->in_width);
    return status;
}

int cublaslt_product_create(struct cublaslt *library, enum device_precision precision,
                            const void *weight, const void *bias, uint32_t out_width,
                            uint32_t in_width, struct cublaslt_product **ret_product, char *message,
                            size_t message_size)
{
    struct cublaslt_product *product = (struct cublaslt_product *)calloc(1, sizeof(*product));

    if (!product)
        return KERNEL_NO_MEMORY;
    product->type = element_type(precision);
    product->out_width = out_width;
    product->in_width = in_width;
    product->weight = weight;
    cublas_status status = product_describe(library, product, bias);
    if (status != 0) {
        cublaslt_product_destroy(library, product);
        return refuse(out_width, in_width, status, message, message_size);
    }
    *ret_product = product;
    return KERNEL_OK;
}

void cublaslt_product_destroy(struct cublaslt *library, struct cublaslt_product *product)
{
    if (!product)
        return;
    if (product->a)
        library->call.MatrixLayoutDestroy(product->a);
    if (product->desc)
        library->call.MatmulDescDestroy(product->desc);
    free(product);
}

int cublaslt_multiply(struct cublaslt *library, const struct cublaslt_product *product,
                      const struct cublaslt_algorithm *algorithm, const void *x, uint32_t rows,
                      void *y, cudaStream_t stream)
{
    const float one = 1, zero = 0;
    struct layouts layouts;
    cublas_status status = layouts_create(library, product, rows, &layouts);

    if (status != 0)
        return status;
    status = library->call.Matmul(library->handle, product->desc, &one, product->weight, product->a,
                                  x, layouts.b, &zero, y, layouts.d, y, layouts.d, algorithm,
                                  nullptr, 0, stream);
    layouts_destroy(library, &layouts);
    return status;
}
