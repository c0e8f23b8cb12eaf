/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of each text on its own: out = softmax(Q Kᵀ scale) V per head. Two kernels; which of
 * them a text gets is a matter of its own length alone, so its result does not depend on its batch:
 *
 * Short texts, whose K and V of one head fit 32 KiB (256 tokens at 2-byte elements and width 32,
 * 128 at width 64; half of that in fp32). Grid (text, head, SHORT_QUERIES queries): a block brings
 * all of K and V into shared memory once, and each warp takes groups of QUERIES_PER_WARP queries
 * through one pass of softmax, the scores of all keys in registers.
 *
 * Long texts. Grid (text, head, ATTENTION_QUERIES queries): K and V go by in tiles of
 * ATTENTION_KEYS, with an online softmax:
 *   m' = max(m, max_j s_j),  p_j = exp(s_j - m'),  l = l exp(m - m') + Σ p_j,
 *   o = o exp(m - m') + Σ p_j v_j;  at the end out = o / l.
 *
 * Layout: qkv[token][3][head][WIDTH] row-major, out[token][head][WIDTH]; WIDTH is 32 or 64, so that
 * every head's row is whole packs of 16 bytes. K and V stay in their element type in shared memory;
 * sums are fp32. Both kernels work on tiles of ATTENTION_KEYS keys. For the scores lane j has keys
 * j and j + 32: it reads 16 bytes of their rows, which stand 16 bytes further apart than they are
 * long, so that eight lanes hit all banks. The weights p_j then go through shared memory, four at a
 * time to every lane, and lane c has WIDTH / 32 columns of the output.
 *
 * Sum order: a score's columns in order; a softmax's keys by lane, then the butterfly; an output's
 * keys in order. Keys behind the text's last are never read: their place in a tile holds zeros,
 * their scores are -infinity.
 *
 * Blocks of 128 threads. Shared memory: short 40 to 42 KiB; long 15 KiB (width 32) and 25 KiB (64)
 * at 2 bytes per element, 23 and 41 KiB in fp32. Registers (nvcc 13.0, sm_80; sm_90a has less):
 * short at most 94, long 80, in fp32 108; no spills.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define ATTENTION_WARPS   4u
#define ATTENTION_THREADS (ATTENTION_WARPS * WARP)
#define QUERIES_PER_WARP  4u
#define ATTENTION_QUERIES (ATTENTION_WARPS * QUERIES_PER_WARP)
#define ATTENTION_KEYS    64u /* of a tile */
#define KEYS_PER_LANE     (ATTENTION_KEYS / WARP)
#define SHORT_BYTES       32768u /* K and V of one head */
#define SHORT_QUERIES     64u    /* of a block: less, and K and V are read too often */
#define GRID_Z_MAX        65535u

/* Tokens of the longest short text. */
template <typename T, uint32_t WIDTH>
constexpr uint32_t short_keys = SHORT_BYTES / (2 * WIDTH * sizeof(T));

template <typename T, uint32_t WIDTH, uint32_t KEYS> struct attention_shared {
    alignas(16) T keys[KEYS][WIDTH + pack_size<T>];
    alignas(16) T values[KEYS][WIDTH];
    /* Each warp's own. */
    alignas(16) float queries[ATTENTION_WARPS][QUERIES_PER_WARP][WIDTH];
    alignas(16) float weights[ATTENTION_WARPS][QUERIES_PER_WARP][ATTENTION_KEYS];
};

/* One head of one text. */
template <typename T> struct head_view {
    const T *queries; /* of the first token; K and V stand width and 2 width behind it */
    T *out;
    uint32_t length;
    uint32_t width; /* of all heads */
};

template <uint32_t WIDTH, typename T>
__device__ __forceinline__ struct head_view<T> head_view_of(const struct batch_view &batch,
                                                            const T *qkv, T *out) {
    uint32_t start = batch.cu_seqlens[blockIdx.x], width = gridDim.y * WIDTH;

    return {
        .queries = qkv + (size_t)start * 3 * width + blockIdx.y * WIDTH,
        .out = out + (size_t)start *width + blockIdx.y *WIDTH,
        .length = batch.cu_seqlens[blockIdx.x + 1] - start,
        .width = width,
    };
}

/* Keys and values [first, first + rows) of the text into shared memory, by the whole block; zeros
 * behind the text's end. */
template <typename T, uint32_t WIDTH, uint32_t KEYS>
__device__ void tokens_load(const struct head_view<T> &head, uint32_t first, uint32_t rows,
                            struct attention_shared<T, WIDTH, KEYS> *shared)
{
    constexpr uint32_t SIZE = pack_size<T>, PACKS = WIDTH / SIZE;

    for (uint32_t i = threadIdx.x; i < rows * PACKS; i += ATTENTION_THREADS) {
        uint32_t row = i / PACKS, column = i % PACKS * SIZE;
        const T *from = head.queries + (size_t)(first + row) * 3 * head.width + column;
        pack<T> key = {}, value = {};
        if (first + row < head.length) {
            key = *(const pack<T> *)(from + head.width);
            value = *(const pack<T> *)(from + 2 * (size_t)head.width);
        }
        *(pack<T> *)&shared->keys[row][column] = key;
        *(pack<T> *)&shared->values[row][column] = value;
    }
}

/* This warp's queries from `first` on, as fp32; zeros behind the text's end. */
template <uint32_t WIDTH, typename T>
__device__ void queries_load(const struct head_view<T> &head, uint32_t first,
                             float (*queries)[WIDTH])
{
    constexpr uint32_t SIZE = pack_size<T>, PACKS = WIDTH / SIZE;

    for (uint32_t i = threadIdx.x % WARP; i < QUERIES_PER_WARP * PACKS; i += WARP) {
        uint32_t row = i / PACKS, column = i % PACKS * SIZE;
        float query[SIZE] = {};
        if (first + row < head.length)
            elements_read(head.queries + (size_t)(first + row) * 3 * head.width + column, query);
        elements_write(query, &queries[row][column]);
    }
    __syncwarp();
}

/* This warp's queries with this lane's keys of a tile, of which `count` are there. */
template <uint32_t WIDTH, typename T>
__device__ __forceinline__ void tile_score(const T (*keys)[WIDTH + pack_size<T>], uint32_t count,
                                           const float (*queries)[WIDTH], float scale,
                                           float (&scores)[QUERIES_PER_WARP][KEYS_PER_LANE])
{
    constexpr uint32_t SIZE = pack_size<T>;
    uint32_t lane = threadIdx.x % WARP;
    float sums[QUERIES_PER_WARP][KEYS_PER_LANE] = {};

#pragma unroll 2
    for (uint32_t c = 0; c < WIDTH; c += SIZE) {
        float key[KEYS_PER_LANE][SIZE];
#pragma unroll
        for (uint32_t k = 0; k < KEYS_PER_LANE; k++)
            elements_read(&keys[k * WARP + lane][c], key[k]);
#pragma unroll
        for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
            float query[SIZE];
            elements_read(&queries[q][c], query);
#pragma unroll
            for (uint32_t k = 0; k < KEYS_PER_LANE; k++)
#pragma unroll
                for (uint32_t e = 0; e < SIZE; e++)
                    sums[q][k] += query[e] * key[k][e];
        }
    }
#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++)
#pragma unroll
        for (uint32_t k = 0; k < KEYS_PER_LANE; k++)
            scores[q][k] = k * WARP + lane < count ? sums[q][k] * scale : -INFINITY;
}

/* out += Σ_j p_j v_j over the tile's `count` keys, for this lane's columns. */
template <uint32_t WIDTH, typename T>
__device__ __forceinline__ void tile_gather(const T (*values)[WIDTH], uint32_t count,
                                            const float (&scores)[QUERIES_PER_WARP][KEYS_PER_LANE],
                                            float (*weights)[ATTENTION_KEYS],
                                            float (&out)[QUERIES_PER_WARP][WIDTH / WARP])
{
    constexpr uint32_t COLUMNS = WIDTH / WARP, EACH = 4;
    uint32_t lane = threadIdx.x % WARP;

#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++)
#pragma unroll
        for (uint32_t k = 0; k < KEYS_PER_LANE; k++)
            weights[q][k * WARP + lane] = scores[q][k];
    __syncwarp();
    for (uint32_t j = 0; j < ATTENTION_KEYS && j < count; j += EACH) {
        float value[EACH][COLUMNS];
#pragma unroll
        for (uint32_t i = 0; i < EACH; i++)
            elements_read(&values[j + i][lane * COLUMNS], value[i]);
#pragma unroll
        for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
            float weight[EACH];
            elements_read(&weights[q][j], weight);
#pragma unroll
            for (uint32_t i = 0; i < EACH; i++)
#pragma unroll
                for (uint32_t c = 0; c < COLUMNS; c++)
                    out[q][c] += weight[i] * value[i][c];
        }
    }
    __syncwarp(); /* the weights are done with */
}

template <uint32_t COLUMNS, typename T>
__device__ __forceinline__ void queries_store(const struct head_view<T> &head, uint32_t first,
                                              float (&out)[QUERIES_PER_WARP][COLUMNS],
                                              const float (&sums)[QUERIES_PER_WARP])
{
    uint32_t lane = threadIdx.x % WARP;

#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
        if (first + q >= head.length)
            break;
        for (uint32_t c = 0; c < COLUMNS; c++)
            out[q][c] /= sums[q];
        elements_write(out[q], head.out + (size_t)(first + q) * head.width + lane * COLUMNS);
    }
}

/* One group of queries of a short text, whose keys and values are in shared memory. */
template <typename T, uint32_t WIDTH, uint32_t KEYS>
__device__ void short_attend(const struct head_view<T> &head, uint32_t first, float scale,
                             struct attention_shared<T, WIDTH, KEYS> *shared)
{
    constexpr uint32_t TILES = KEYS / ATTENTION_KEYS;
    uint32_t warp = threadIdx.x / WARP;
    float scores[TILES][QUERIES_PER_WARP][KEYS_PER_LANE];
    float out[QUERIES_PER_WARP][WIDTH / WARP] = {}, sums[QUERIES_PER_WARP];

    queries_load<WIDTH>(head, first, shared->queries[warp]);
#pragma unroll
    for (uint32_t t = 0; t < TILES; t++)
        if (t * ATTENTION_KEYS < head.length)
            tile_score<WIDTH>(shared->keys + t * ATTENTION_KEYS, head.length - t * ATTENTION_KEYS,
                              shared->queries[warp], scale, scores[t]);
#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
        float maximum = -INFINITY, sum = 0;
#pragma unroll
        for (uint32_t i = 0; i < TILES * KEYS_PER_LANE; i++)
            if (i / KEYS_PER_LANE * ATTENTION_KEYS < head.length)
                maximum = larger(maximum, scores[i / KEYS_PER_LANE][q][i % KEYS_PER_LANE]);
        maximum = warp_max(maximum);
#pragma unroll
        for (uint32_t i = 0; i < TILES * KEYS_PER_LANE; i++)
            if (i / KEYS_PER_LANE * ATTENTION_KEYS < head.length) {
                float *score = &scores[i / KEYS_PER_LANE][q][i % KEYS_PER_LANE];
                *score = expf(*score - maximum);
                sum += *score;
            }
        sums[q] = warp_sum(sum);
    }
#pragma unroll
    for (uint32_t t = 0; t < TILES; t++)
        if (t * ATTENTION_KEYS < head.length)
            tile_gather<WIDTH>(shared->values + t * ATTENTION_KEYS,
                               head.length - t * ATTENTION_KEYS, scores[t], shared->weights[warp],
                               out);
    queries_store(head, first, out, sums);
}

template <typename T, uint32_t WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    short_kernel(const struct batch_view batch, const T *qkv, float scale, T *out)
{
    constexpr uint32_t KEYS = short_keys<T, WIDTH>;
    __shared__ struct attention_shared<T, WIDTH, KEYS> shared;
    const struct head_view<T> head = head_view_of<WIDTH>(batch, qkv, out);
    uint32_t begin = blockIdx.z * SHORT_QUERIES;
    uint32_t end = begin + SHORT_QUERIES < head.length ? begin + SHORT_QUERIES : head.length;

    if (head.length > KEYS || begin >= head.length)
        return;
    uint32_t tiles = (head.length + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    tokens_load(head, 0, tiles * ATTENTION_KEYS, &shared);
    __syncthreads();
    for (uint32_t first = begin + threadIdx.x / WARP * QUERIES_PER_WARP; first < end;
         first += ATTENTION_QUERIES)
        short_attend(head, first, scale, &shared);
}

/* A group of queries, spread over a warp, between the tiles of a long text. */
template <uint32_t WIDTH> struct attention_state {
    float maximums[QUERIES_PER_WARP];
    float sums[QUERIES_PER_WARP];
    float out[QUERIES_PER_WARP][WIDTH / WARP];
};

/* One tile's scores become weights, and what was gathered so far is measured by the new maximum. */
template <uint32_t WIDTH>
__device__ __forceinline__ void state_update(struct attention_state<WIDTH> *state,
                                             float (&scores)[QUERIES_PER_WARP][KEYS_PER_LANE])
{
#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++) {
        float tile_max = -INFINITY, tile_sum = 0;
#pragma unroll
        for (uint32_t k = 0; k < KEYS_PER_LANE; k++)
            tile_max = larger(tile_max, scores[q][k]);
        float maximum = larger(state->maximums[q], warp_max(tile_max));
        float correction = expf(state->maximums[q] - maximum);
#pragma unroll
        for (uint32_t k = 0; k < KEYS_PER_LANE; k++) {
            scores[q][k] = expf(scores[q][k] - maximum);
            tile_sum += scores[q][k];
        }
        state->sums[q] = state->sums[q] * correction + warp_sum(tile_sum);
        state->maximums[q] = maximum;
        for (uint32_t c = 0; c < WIDTH / WARP; c++)
            state->out[q][c] *= correction;
    }
}

/* The block's queries from `first` on against all keys of a long text. */
template <typename T, uint32_t WIDTH>
__device__ void long_attend(const struct head_view<T> &head, uint32_t first, float scale,
                            struct attention_shared<T, WIDTH, ATTENTION_KEYS> *shared)
{
    uint32_t warp = threadIdx.x / WARP, own = first + warp * QUERIES_PER_WARP;
    float scores[QUERIES_PER_WARP][KEYS_PER_LANE];
    struct attention_state<WIDTH> state = {
    };

#pragma unroll
    for (uint32_t q = 0; q < QUERIES_PER_WARP; q++)
        state.maximums[q] = -INFINITY;
    queries_load<WIDTH>(head, own, shared->queries[warp]);
    for (uint32_t key = 0; key < head.length; key += ATTENTION_KEYS) {
        __syncthreads(); /* the last tile is done with */
        tokens_load(head, key, ATTENTION_KEYS, shared);
        __syncthreads();
        tile_score<WIDTH>(shared->keys, head.length - key, shared->queries[warp], scale, scores);
        state_update(&state, scores);
        tile_gather<WIDTH>(shared->values, head.length - key, scores, shared->weights[warp],
                           state.out);
    }
    queries_store(head, own, state.out, state.sums);
}

template <typename T, uint32_t WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    long_kernel(const struct batch_view batch, const T *qkv, float scale, T *out)
{
    __shared__ struct attention_shared<T, WIDTH, ATTENTION_KEYS> shared;
    const struct head_view<T> head = head_view_of<WIDTH>(batch, qkv, out);

    if (head.length <= short_keys<T, WIDTH>)
        return;
    for (uint32_t first = blockIdx.z * ATTENTION_QUERIES; first < head.length;
         first += gridDim.z * ATTENTION_QUERIES)
        long_attend(head, first, scale, &shared);
}

/* Texts of each kind where the batch can have them; a block whose text is of the other kind leaves
 * at once. */
template <typename T, uint32_t WIDTH>
static cudaError_t attention(const struct batch_view *batch, const T *qkv, uint32_t heads,
                             float scale, T *out, cudaStream_t stream)
{
    constexpr uint32_t KEYS = short_keys<T, WIDTH>;
    uint32_t longest = batch->longest, shorts = longest < KEYS ? longest : KEYS;
    uint32_t tiles = (longest + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    cudaError_t error =
        launch(short_kernel<T, WIDTH>,
               dim3(batch->texts, heads, (shorts + SHORT_QUERIES - 1) / SHORT_QUERIES),
               ATTENTION_THREADS, stream, *batch, qkv, scale, out);

    if (error != cudaSuccess || longest <= KEYS)
        return error;
    return launch(long_kernel<T, WIDTH>,
                  dim3(batch->texts, heads, tiles < GRID_Z_MAX ? tiles : GRID_Z_MAX),
                  ATTENTION_THREADS, stream, *batch, qkv, scale, out);
}

cudaError_t launch_attention(enum device_precision precision, const struct batch_view *batch,
                             const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                             void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        if (head_width == 32)
            return attention<T, 32>(batch, (const T *)qkv, heads, scale, (T *)out, stream);
        if (head_width == 64)
            return attention<T, 64>(batch, (const T *)qkv, heads, scale, (T *)out, stream);
        return cudaErrorInvalidValue;
    });
}
