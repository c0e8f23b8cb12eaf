/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulator's runtime (cuda_runtime.h here): device memory is the host's, a stream is a queue of
 * work that runs as late as it may, a graph a list of work.
 *
 * Work waits until its stream is synchronised; with emulator_hurry, launches run as early as they
 * may instead. A wait for an event runs the event's stream up to where the event was recorded, and
 * no further. Freeing memory and destroying a stream run everything first, as cudaFree does. While
 * a stream records, allocating refuses and spoils the recording.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <deque>
#include <memory>
#include <vector>

#include "kernels/tests/emulator/cuda_runtime.h"

typedef std::function<void()> emulator_work;

struct emulator_recording {
    std::vector<emulator_work> work;
};

struct emulator_stream {
    std::deque<emulator_work> work;
    uint64_t put = 0;  /* how much was put on the stream, ever */
    uint64_t done = 0; /* how much of it has run */
};

struct emulator_event {
    emulator_stream *stream;
    uint64_t position; /* what the stream had been given when the event was recorded */
    bool is_timed;
    std::shared_ptr<double> us; /* when the stream came there */
};

static std::vector<emulator_stream *> streams;
static emulator_stream *recording_stream; /* NULL: no stream records */
static emulator_recording *recording;
static bool is_spoiled;

static bool is_hurrying;
static uint32_t allocations_until_failure, launches_until_failure;
static uint64_t allocations, launches;
static cudaError_t last_error = cudaSuccess;

static double clock_us, block_us = 1;

/* ---- faults and counts ---- */

extern "C" void emulator_fail(uint32_t allocation, uint32_t launch)
{
    allocations_until_failure = allocation;
    launches_until_failure = launch;
}

extern "C" uint64_t emulator_allocations(void)
{
    return allocations;
}

extern "C" uint64_t emulator_launches(void)
{
    return launches;
}

void emulator_pass(double us)
{
    clock_us += us;
}

extern "C" void emulator_speed(double us_per_block)
{
    block_us = us_per_block;
}

/* Whether an allocation may be made. */
static cudaError_t allocation_start()
{
    allocations++;
    if (recording_stream) {
        is_spoiled = true;
        return last_error = cudaErrorStreamCaptureUnsupported;
    }
    if (allocations_until_failure > 0 && --allocations_until_failure == 0)
        return last_error = cudaErrorMemoryAllocation;
    return cudaSuccess;
}

static cudaError_t allocate(void **memory, size_t bytes)
{
    cudaError_t error = allocation_start();

    if (error != cudaSuccess)
        return error;
    if (bytes > (size_t)1 << 40)
        return last_error = cudaErrorMemoryAllocation;
    *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *memory ? cudaSuccess : (last_error = cudaErrorMemoryAllocation);
}

template <typename T> static cudaError_t allocate_object(T **object)
{
    cudaError_t error = allocation_start();

    if (error == cudaSuccess)
        *object = new T();
    return error;
}

static bool launch_fails()
{
    launches++;
    return launches_until_failure > 0 && --launches_until_failure == 0;
}

/* ---- streams ---- */

extern "C" void emulator_hurry(bool is_early)
{
    is_hurrying = is_early;
}

static void stream_drain(emulator_stream *stream, uint64_t position)
{
    while (stream->done < position) {
        emulator_work work = std::move(stream->work.front());
        stream->work.pop_front();
        stream->done++;
        work();
    }
}

static void drain_all()
{
    for (emulator_stream *stream : streams)
        stream_drain(stream, stream->put);
}

void emulator_enqueue(cudaStream_t stream, emulator_work work)
{
    if (stream == recording_stream) {
        recording->work.push_back(std::move(work));
        return;
    }
    stream->work.push_back(std::move(work));
    stream->put++;
}

/* What was put on the stream last was a launch. */
static void launch_hurry(cudaStream_t stream)
{
    if (is_hurrying && stream != recording_stream)
        stream_drain(stream, stream->put);
}

void emulator_run(dim3 grid, dim3 block, cudaStream_t stream, const std::function<void()> &thread)
{
    size_t threads = (size_t)block.x * block.y * block.z;

    if (stream == recording_stream && is_spoiled)
        last_error = cudaErrorStreamCaptureInvalidated;
    else if (launch_fails() || threads == 0 || threads > EMULATOR_THREADS_MAX || grid.y > 65535 ||
             grid.z > 65535 || grid.x == 0 || grid.y == 0 || grid.z == 0)
        last_error = cudaErrorInvalidValue;
    else
        emulator_enqueue(stream, [=] {
            emulator_blocks(grid, block, thread);
            emulator_pass(block_us * grid.x * grid.y * grid.z);
        });
    launch_hurry(stream);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    cudaError_t error = allocate_object(stream);

    if (error == cudaSuccess)
        streams.push_back(*stream);
    return error;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    drain_all();
    std::erase(streams, stream);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    stream_drain(stream, stream->put);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    cudaError_t error = allocate_object(event);

    if (error == cudaSuccess)
        (*event)->is_timed = flags != cudaEventDisableTiming;
    return error;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (event->is_timed) {
        auto us = event->us = std::make_shared<double>();
        emulator_enqueue(stream, [=] { *us = clock_us; });
    }
    event->stream = stream;
    event->position = stream->put;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    stream_drain(event->stream, event->position);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end)
{
    *ms = (float)((*end->us - *begin->us) / 1000);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    emulator_stream *other = event->stream;
    uint64_t position = event->position;

    emulator_enqueue(stream, [=] { stream_drain(other, position); });
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream)
{
    emulator_enqueue(stream, [=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    emulator_enqueue(stream, [=] { memset(memory, value, bytes); });
    return cudaSuccess;
}

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    recording = new emulator_recording();
    recording_stream = stream;
    is_spoiled = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph)
{
    recording_stream = nullptr;
    if (is_spoiled) {
        delete recording;
        return last_error = cudaErrorStreamCaptureInvalidated;
    }
    *graph = recording;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *ready, cudaGraph_t graph,
                                          unsigned long long)
{
    cudaError_t error = allocate_object(ready);

    if (error == cudaSuccess)
        (*ready)->work = graph->work;
    return error;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream)
{
    if (launch_fails())
        return last_error = cudaErrorInvalidValue;
    for (const emulator_work &work : ready->work)
        emulator_enqueue(stream, work);
    launch_hurry(stream);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready)
{
    delete ready;
    return cudaSuccess;
}

/* ---- memory ---- */

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    return allocate(memory, bytes);
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    return allocate(memory, bytes);
}

cudaError_t cudaFree(void *memory)
{
    drain_all();
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    return cudaFree(memory);
}

/* ---- the device ---- */

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
        return "operation failed due to a previous error during capture";
    default:
        return "an error of the emulator";
    }
}

cudaError_t cudaGetLastError()
{
    cudaError_t error = last_error;

    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    *properties = {};
    snprintf(properties->name, sizeof(properties->name), "emulator");
    properties->totalGlobalMem = (size_t)1 << 34;
    properties->multiProcessorCount = 1;
    properties->l2CacheSize = 1 << 20;
    properties->major = 9;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *to, int size, int)
{
    snprintf(to, (size_t)size, "0000:00:00.0");
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}
