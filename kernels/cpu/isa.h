/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single-threaded inner functions of the CPU device. Their files (gemm.c, attention.c, rows.c,
 * isa.c) are compiled once for each instruction set, with KERNELS_ISA naming it (avx512bf16,
 * avx512, avx2, plain); each compilation gives one table, for one element type (element.h). cpu.c
 * picks the best table of the precision that the processor can run and hands parts of an operation
 * to the thread team.
 *
 * Results of a row never depend on which part it falls into: every sum runs in an order fixed by
 * the widths and the text's own length. That, and not luck, makes a text's vector independent of
 * its batch and of the number of threads.
 */
#ifndef KERNELS_CPU_ISA_H
#define KERNELS_CPU_ISA_H

#include "kernels/host/host.h"

#define ISA_PASTE_(name, isa) name##_##isa
#define ISA_PASTE(name, isa)  ISA_PASTE_(name, isa)
/* The name of a function or table in the instruction set being compiled. */
#define ISA(name) ISA_PASTE(name, KERNELS_ISA)

/* Rows of one part of a product: small enough for the x rows (up to 1536 wide) to stay in a 1 MiB
 * second-level cache, many enough to pay for bringing a panel of W into the first-level one. */
#define GEMM_ROWS 96u

/* W packed for one instruction set: panels of `panel` output columns, each a row of `panel` steps
 * (element.h) for every step of in_width, so that the inner loop reads it straight through; columns
 * beyond out_width and, in the last step, elements beyond in_width are zeros. */
struct cpu_linear {
    struct linear_weight base;
    uint32_t panel;
    uint32_t panels;
    void *packed; /* [panels][steps of in_width][panel] steps, owned */
    float *bias;  /* [panels * panel], owned; zeros where there is none */
};

/* One head of one text: where its rows are. */
struct cpu_attention {
    const void *query; /* first token's Q of this head; K and V lie `width` elements further each */
    void *out;         /* first token's output of this head */
    uint32_t length;   /* tokens of the text */
    uint32_t head_width;
    uint32_t width; /* heads * head_width: row stride of out; that of qkv is three times it */
    float scale;
};

/* Attention: the queries of one part; the queries and keys of one block, whose scores (24 KiB) stay
 * in the first-level cache. */
#define ATTENTION_QUERIES 384u
#define ATTENTION_BLOCK   48u
#define ATTENTION_KEYS    128u

/* Floats (or steps, which are as large) of scratch for one part: packed keys and values, a block's
 * scores, the outputs so far, and two numbers per query. Widths are rounded up to any vector. */
#define ATTENTION_SCRATCH(head_width)                                                              \
    ((((size_t)(head_width) + 15u) / 16u * 16u) * (2 * ATTENTION_KEYS + ATTENTION_QUERIES) +       \
     ATTENTION_BLOCK * ATTENTION_KEYS + 2 * ATTENTION_QUERIES)

/* Floats of scratch that each thread has: for a part of attention, and for a row of the others. */
#define CPU_SCRATCH ATTENTION_SCRATCH(ATTENTION_WIDTH_MAX)
_Static_assert(CPU_SCRATCH >= DEVICE_WIDTH_MAX, "a row fits into the scratch");

/* The functions of one instruction set. x, residual and out are elements where they are void; rows
 * and queries are ranges [first, end). */
struct cpu_isa {
    const char *name;
    enum device_precision precision;
    size_t element_bytes;
    uint32_t step;  /* elements along k that a product takes at once (element.h) */
    uint32_t panel; /* output columns of a packed panel */

    /* Fills weight->packed from [out, in] row-major. */
    void (*pack)(struct cpu_linear *weight, const float *source);
    /* The y rows [row, row_end), at most GEMM_ROWS, in the columns of panels [panel, panel_end). */
    void (*gemm)(const struct cpu_linear *weight, enum linear_epilogue epilogue, const void *x,
                 void *y, uint32_t row, uint32_t row_end, uint32_t panel, uint32_t panel_end);
    /* Outputs of the queries [query, query_end), at most ATTENTION_QUERIES. */
    void (*attend)(const struct cpu_attention *attention, uint32_t query, uint32_t query_end,
                   float *scratch);
    void (*embed_row)(const struct host_embedding *weight, const struct host_batch *batch,
                      uint32_t token, void *out, float *scratch);
    void (*add_norm_row)(const struct host_norm *norm, const void *x, const void *residual,
                         void *out, float *scratch);
    void (*pool_text)(const void *x, uint32_t length, uint32_t width, enum pool_mode mode,
                      bool normalise, float *out);
    void (*softmax_row)(const void *x, uint32_t width, float *out);
    void (*to_float_row)(const void *x, uint32_t width, float *out);
    void (*from_float_row)(const float *x, uint32_t width, void *out);
};

#ifdef KERNELS_ISA
extern const struct cpu_isa ISA(cpu_isa);

void ISA(gemm_pack)(struct cpu_linear *weight, const float *source);
void ISA(gemm)(const struct cpu_linear *weight, enum linear_epilogue epilogue, const void *x,
               void *y, uint32_t row, uint32_t row_end, uint32_t panel, uint32_t panel_end);
void ISA(attend)(const struct cpu_attention *attention, uint32_t query, uint32_t query_end,
                 float *scratch);
void ISA(embed_row)(const struct host_embedding *weight, const struct host_batch *batch,
                    uint32_t token, void *out, float *scratch);
void ISA(add_norm_row)(const struct host_norm *norm, const void *x, const void *residual, void *out,
                       float *scratch);
void ISA(pool_text)(const void *x, uint32_t length, uint32_t width, enum pool_mode mode,
                    bool normalise, float *out);
void ISA(softmax_row)(const void *x, uint32_t width, float *out);
void ISA(to_float_row)(const void *x, uint32_t width, float *out);
void ISA(from_float_row)(const float *x, uint32_t width, void *out);
#endif

#endif
