/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of CUDA that kernels/cuda/ uses, on the host, so that every kernel's indexing, guards
 * and arithmetic are tested on machines without a GPU. The .cu files are compiled as plain C++ with
 * this header in front of the toolkit's; launch_kernel.cuh hands each launch to emulator_run.
 *
 * A block's threads are fibers on one host thread (emulator.cc says in what order); a barrier that
 * some threads of a block miss stops the program. Blocks run one after another, so what is between
 * blocks, memory order, speed and occupancy are not tested: that takes a GPU. One thread at a time.
 *
 * What is put on a stream runs as late as CUDA allows: when the stream, or one that waits for it,
 * is synchronised, or memory is freed. Host memory that was changed too early and a wait that was
 * forgotten show as wrong results (runtime.cc).
 */
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
/* One block runs at a time, so a static is what its threads share. */
#define __shared__ static

struct dim3 {
    uint32_t x, y, z;

    dim3(uint32_t x_size, uint32_t y_size = 1, uint32_t z_size = 1)
        : x(x_size), y(y_size), z(z_size)
    {
    }
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

typedef struct emulator_stream *cudaStream_t;
typedef struct emulator_event *cudaEvent_t;
typedef struct emulator_recording *cudaGraph_t;
typedef struct emulator_recording *cudaGraphExec_t;

/* Puts a launch on the stream: `thread` once for each thread of each block. What is wrong with it
 * is cudaGetLastError's. */
void emulator_run(dim3 grid, dim3 block, cudaStream_t stream, const std::function<void()> &thread);

/* Puts work on the stream: runs it later, or records it. For fake_cublaslt.cc, too. */
__attribute__((visibility("default"))) void emulator_enqueue(cudaStream_t stream,
                                                             std::function<void()> work);

/* Time goes on by so much: work says what it took. A block of a kernel takes what the last
 * emulator_speed said. */
__attribute__((visibility("default"))) void emulator_pass(double us);

/* Runs `thread` for each thread of each block now (emulator.cc). */
#define EMULATOR_THREADS_MAX 1024u
void emulator_blocks(dim3 grid, dim3 block, const std::function<void()> &thread);

void __syncthreads();
void __syncwarp();
float __shfl_xor_sync(unsigned mask, float value, int lane_mask);
float __shfl_sync(unsigned mask, float value, int lane);

/* ---- the runtime's interface ---- */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureWrongThread = 908,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };

struct cudaUUID_t {
    char bytes[16];
};

struct cudaDeviceProp {
    char name[256];
    cudaUUID_t uuid;
    size_t totalGlobalMem;
    int multiProcessorCount;
    int l2CacheSize;
    int major, minor;
};

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDeviceGetPCIBusId(char *to, int size, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *ready, cudaGraph_t graph,
                                          unsigned long long flags);
cudaError_t cudaGraphUpload(cudaGraphExec_t ready, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready);

/* ---- fault injection ---- */

/* From now on the Nth allocation (device, pinned, stream, event or graph) or the Nth launch (kernel
 * or graph, recorded ones too) fails, counted from 1; 0: none. A failed allocation is
 * cudaErrorMemoryAllocation, a failed launch cudaErrorInvalidValue. */
extern "C" void emulator_fail(uint32_t allocation, uint32_t launch);

/* Time for tests: what a block of a kernel takes on the emulator's clock, 1 us at first. */
extern "C" void emulator_speed(double us_per_block);

/* With true, launches run as early as CUDA may run them, not as late. */
extern "C" void emulator_hurry(bool is_early);

/* Allocations and launches so far. */
extern "C" uint64_t emulator_allocations(void);
extern "C" uint64_t emulator_launches(void);

#endif
