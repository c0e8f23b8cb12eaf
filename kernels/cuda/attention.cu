/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of each text on its own: out = softmax(Q Kᵀ scale) V per head, with an online softmax
 * over tiles of keys, so that texts of any length need the same shared memory:
 *   m' = max(m, max_j s_j),  p_j = exp(s_j - m'),  l = l exp(m - m') + Σ p_j,
 *   o = o exp(m - m') + Σ p_j v_j;  at the end out = o / l.
 *
 * Layout: qkv[token][3][head][WIDTH] row-major, out[token][head][WIDTH]; WIDTH is 32 or 64.
 * Launch: grid (text, head, query tile), blocks of 4 warps; a block brings each tile of 64 keys and
 * values into shared memory as fp32 once and its 16 queries use it. A warp has 4 queries: for the
 * scores lane j computes the dot products with keys j and j + 32 (rows of K are WIDTH + 1 apart, so
 * the lanes hit different banks); for the output lane c keeps columns c and, at WIDTH 64, c + 32,
 * while p_j goes round by shuffles.
 *
 * Tiles are counted from the text's own first token and sums run over j in order: a text's result
 * does not depend on its batch. Keys behind the text's last one are never read; their place in the
 * tile holds zeros and their scores are -infinity.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define ATTENTION_WARPS   4u
#define QUERIES_PER_WARP  4u
#define ATTENTION_QUERIES (ATTENTION_WARPS * QUERIES_PER_WARP)
#define ATTENTION_KEYS    64u
#define ATTENTION_THREADS (ATTENTION_WARPS * WARP)
#define GRID_Z_MAX        65535u

template <uint32_t WIDTH> struct attention_shared {
    float keys[ATTENTION_KEYS][WIDTH + 1];
    float values[ATTENTION_KEYS][WIDTH];
    float queries[ATTENTION_QUERIES][WIDTH];
};

/* One query, spread over a warp. */
template <uint32_t WIDTH> struct attention_state {
    float maximum;
    float sum;
    float out[WIDTH / WARP];
};

/* Rows [first, first + ROWS) of one head's Q, K or V into shared memory; zeros from `count` on.
 * `from` is the head's first element in the row of `first`. */
template <uint32_t WIDTH, uint32_t ROWS, uint32_t PITCH, typename T>
__device__ void tile_load(float (*tile)[PITCH], const T *from, size_t stride, uint32_t count)
{
    for (uint32_t i = threadIdx.x; i < ROWS * WIDTH; i += ATTENTION_THREADS) {
        uint32_t row = i / WIDTH, column = i % WIDTH;
        tile[row][column] = row < count ? element_read(from[row * stride + column]) : 0.0f;
    }
}

/* One query against the tile's `count` keys. */
template <uint32_t WIDTH>
__device__ void tile_attend(const struct attention_shared<WIDTH> *shared, const float *query,
                            uint32_t count, float scale, struct attention_state<WIDTH> *state)
{
    uint32_t lane = threadIdx.x % WARP;
    float p[ATTENTION_KEYS / WARP];
    float tile_max = -INFINITY, tile_sum = 0;

#pragma unroll
    for (uint32_t part = 0; part < ATTENTION_KEYS / WARP; part++) {
        uint32_t key = part * WARP + lane;
        float dot = 0;
#pragma unroll 8
        for (uint32_t c = 0; c < WIDTH; c++)
            dot += query[c] * shared->keys[key][c];
        p[part] = key < count ? dot * scale : -INFINITY;
        tile_max = larger(tile_max, p[part]);
    }
    float maximum = larger(state->maximum, warp_max(tile_max));
    float correction = expf(state->maximum - maximum);
#pragma unroll
    for (uint32_t part = 0; part < ATTENTION_KEYS / WARP; part++) {
        p[part] = expf(p[part] - maximum);
        tile_sum += p[part];
    }
    state->sum = state->sum * correction + warp_sum(tile_sum);
    state->maximum = maximum;

    for (uint32_t c = 0; c < WIDTH / WARP; c++)
        state->out[c] *= correction;
#pragma unroll
    for (uint32_t part = 0; part < ATTENTION_KEYS / WARP; part++)
#pragma unroll 4
        for (uint32_t j = 0; j < WARP; j++) {
            float weight = __shfl_sync(WARP_MASK, p[part], j);
            for (uint32_t c = 0; c < WIDTH / WARP; c++)
                state->out[c] += weight * shared->values[part * WARP + j][c * WARP + lane];
        }
}

template <typename T, uint32_t WIDTH>
__device__ void queries_attend(struct attention_shared<WIDTH> *shared, const T *text,
                               uint32_t length, uint32_t first, uint32_t width, float scale,
                               T *text_out)
{
    size_t stride = 3 * (size_t)width;
    uint32_t warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    struct attention_state<WIDTH> states[QUERIES_PER_WARP];

#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
        states[q].maximum = -INFINITY;
        states[q].sum = 0;
        for (uint32_t c = 0; c < WIDTH / WARP; c++)
            states[q].out[c] = 0;
    }
    tile_load<WIDTH, ATTENTION_QUERIES>(shared->queries, text + first * stride, stride,
                                        length - first);
    for (uint32_t key = 0; key < length; key += ATTENTION_KEYS) {
        const T *keys = text + key * stride + width;
        __syncthreads(); /* the last tile is done with */
        tile_load<WIDTH, ATTENTION_KEYS>(shared->keys, keys, stride, length - key);
        tile_load<WIDTH, ATTENTION_KEYS>(shared->values, keys + width, stride, length - key);
        __syncthreads();
#pragma unroll
        for (uint32_t q = 0; q < QUERIES_PER_WARP; q++)
            tile_attend<WIDTH>(shared, shared->queries[warp * QUERIES_PER_WARP + q], length - key,
                               scale, &states[q]);
    }
#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
        uint32_t query = first + warp * QUERIES_PER_WARP + q;
        if (query < length)
            for (uint32_t c = 0; c < WIDTH / WARP; c++)
                text_out[(size_t)query * width + c * WARP + lane] =
                    element_round<T>(states[q].out[c] / states[q].sum);
    }
    __syncthreads(); /* the queries are done with */
}

template <typename T, uint32_t WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_kernel(const struct batch_view batch, const T *qkv, float scale, T *out)
{
    __shared__ struct attention_shared<WIDTH> shared;
    size_t start = batch.cu_seqlens[blockIdx.x];
    uint32_t length = batch.cu_seqlens[blockIdx.x + 1] - (uint32_t)start;
    uint32_t width = gridDim.y * WIDTH;
    const T *text = qkv + start * 3 * width + blockIdx.y * WIDTH;
    T *text_out = out + start * width + blockIdx.y * WIDTH;

    for (uint32_t first = blockIdx.z * ATTENTION_QUERIES; first < length;
         first += gridDim.z * ATTENTION_QUERIES)
        queries_attend<T, WIDTH>(&shared, text, length, first, width, scale, text_out);
}

template <typename T>
static cudaError_t attention(const struct batch_view *batch, const void *qkv, uint32_t heads,
                             uint32_t head_width, float scale, void *out, cudaStream_t stream)
{
    uint32_t tiles = (batch->longest + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    dim3 grid(batch->texts, heads, tiles < GRID_Z_MAX ? tiles : GRID_Z_MAX);

    if (head_width == 32)
        return launch(attention_kernel<T, 32>, grid, ATTENTION_THREADS, stream, *batch,
                      (const T *)qkv, scale, (T *)out);
    if (head_width == 64)
        return launch(attention_kernel<T, 64>, grid, ATTENTION_THREADS, stream, *batch,
                      (const T *)qkv, scale, (T *)out);
    return cudaErrorInvalidValue;
}

cudaError_t launch_attention(enum device_precision precision, const struct batch_view *batch,
                             const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                             void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return attention<T>(batch, qkv, heads, head_width, scale, out, stream);
    });
}
