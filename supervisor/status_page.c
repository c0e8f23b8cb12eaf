/* SPDX-License-Identifier: Apache-2.0 */
/* status_page: see status_page.h. */
#include "supervisor/status_page.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/clock.h"

/* Two builds with other rows differ in it. */
#define MAGIC                                                                                      \
    (0x6172676f73790000u + sizeof(struct status_process) +                                         \
     ((uint64_t)sizeof(struct status_gpu) << 48))

/* A writer is at it for microseconds: giving way this often is more than patience. */
#define READ_TRIES 1000

/* What lies in the memfd. */
struct shared {
    uint64_t magic;
    _Atomic uint64_t heartbeat_ns;
    _Atomic uint64_t sequence; /* odd: being written */
    uint64_t started_ns;
    uint64_t count;
    uint32_t phase;
    uint32_t gpu_count;
    struct status_gpu gpus[STATUS_GPU_MAX];
    struct status_process rows[STATUS_PROCESS_MAX];
};

struct status_page {
    int fd;
    struct shared *shared;
};

static void *map(int fd, int protection)
{
    void *memory = mmap(NULL, sizeof(struct shared), protection, MAP_SHARED, fd, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

/* The supervisor's side */

int status_page_create(struct status_page **ret_page, struct error *err)
{
    struct status_page *page = calloc(1, sizeof *page);
    if (page == NULL)
        return error_set(err, ERR_MEMORY, "status page: out of memory");
    page->fd = memfd_create("argosy-status", MFD_CLOEXEC);
    if (page->fd >= 0 && ftruncate(page->fd, (off_t)sizeof(struct shared)) == 0)
        page->shared = map(page->fd, PROT_READ | PROT_WRITE);
    if (page->shared == NULL) {
        int code = error_set_errno(err, ERR_IO, errno, "could not make the status page");
        status_page_destroy(page);
        return code;
    }
    page->shared->magic = MAGIC;
    page->shared->started_ns = clock_monotonic_ns();
    status_page_beat(page, page->shared->started_ns);
    *ret_page = page;
    return 0;
}

void status_page_destroy(struct status_page *page)
{
    if (page == NULL)
        return;
    if (page->shared != NULL)
        munmap(page->shared, sizeof(struct shared));
    if (page->fd >= 0)
        close(page->fd);
    free(page);
}

int status_page_fd(const struct status_page *page)
{
    return page->fd;
}

void status_page_beat(struct status_page *page, uint64_t now_ns)
{
    atomic_store_explicit(&page->shared->heartbeat_ns, now_ns, memory_order_release);
}

struct status_process *status_page_begin(struct status_page *page, size_t count)
{
    ASSERT(count <= STATUS_PROCESS_MAX);
    atomic_fetch_add_explicit(&page->shared->sequence, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    page->shared->count = count;
    return page->shared->rows;
}

void status_page_end(struct status_page *page, enum status_phase phase)
{
    page->shared->phase = phase;
    atomic_fetch_add_explicit(&page->shared->sequence, 1, memory_order_release);
}

void status_page_set_gpus(struct status_page *page, const struct status_gpu *gpus, size_t count)
{
    ASSERT(count <= STATUS_GPU_MAX);
    page->shared->gpu_count = (uint32_t)count;
    if (count > 0)
        memcpy(page->shared->gpus, gpus, count * sizeof gpus[0]);
}

/* The link's side */

struct status_reader {
    int fd;
    const struct shared *shared;
    struct status status; /* its rows are owned */
};

static int open_page(struct status_reader *reader, int fd, struct error *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0 || (size_t)stat.st_size != sizeof(struct shared))
        return error_set(err, ERR_INVALID, "descriptor %d is no status page of this build", fd);
    reader->shared = map(fd, PROT_READ);
    if (reader->shared == NULL)
        return error_set_errno(err, ERR_INVALID, errno, "cannot map the status page");
    if (reader->shared->magic != MAGIC)
        return error_set(err, ERR_INVALID, "the status page is of another build");
    /* Pages that are never written take no memory. */
    reader->status.processes = calloc(STATUS_PROCESS_MAX, sizeof reader->status.processes[0]);
    if (reader->status.processes == NULL)
        return error_set(err, ERR_MEMORY, "status page: out of memory");
    return 0;
}

int status_reader_open(int fd, struct status_reader **ret_reader, struct error *err)
{
    struct status_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return error_set(err, ERR_MEMORY, "status page: out of memory");
    reader->fd = -1;
    int code = open_page(reader, fd, err);
    if (code != 0) {
        status_reader_close(reader);
        return code;
    }
    reader->fd = fd;
    *ret_reader = reader;
    return 0;
}

void status_reader_close(struct status_reader *reader)
{
    if (reader == NULL)
        return;
    free(reader->status.processes);
    if (reader->shared != NULL)
        munmap((void *)(uintptr_t)reader->shared, sizeof(struct shared));
    if (reader->fd >= 0)
        close(reader->fd);
    free(reader);
}

/* One try; true when nothing was written meanwhile. */
static bool copy(struct status_reader *reader)
{
    const struct shared *shared = reader->shared;
    struct status *status = &reader->status;
    uint64_t before = atomic_load_explicit(&shared->sequence, memory_order_acquire);
    if (before % 2 != 0)
        return false;
    status->started_ns = shared->started_ns;
    uint64_t count = shared->count;
    if (count > STATUS_PROCESS_MAX)
        return false; /* half written */
    status->process_count = count;
    status->phase = (enum status_phase)shared->phase;
    memcpy(status->processes, shared->rows, status->process_count * sizeof shared->rows[0]);
    uint32_t gpus = shared->gpu_count;
    status->gpu_count = gpus < STATUS_GPU_MAX ? gpus : STATUS_GPU_MAX;
    memcpy(status->gpus, shared->gpus, status->gpu_count * sizeof shared->gpus[0]);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&shared->sequence, memory_order_relaxed) == before;
}

int status_read(struct status_reader *reader, const struct status **ret_status, struct error *err)
{
    reader->status.heartbeat_ns =
        atomic_load_explicit(&reader->shared->heartbeat_ns, memory_order_acquire);
    *ret_status = &reader->status;
    for (int i = 0; i < READ_TRIES; i++) {
        if (copy(reader))
            return 0;
        sched_yield();
    }
    return error_set(err, ERR_UNAVAILABLE, "the supervisor stopped while it wrote its status");
}

size_t status_group_first(const struct status *status, const char *group)
{
    size_t place = 0;
    while (place < status->process_count && strcmp(status->processes[place].group, group) != 0)
        place++;
    return place;
}

bool status_is_alive(const struct status *status, uint64_t now_ns)
{
    return now_ns < status->heartbeat_ns + STATUS_STALE_NS;
}
