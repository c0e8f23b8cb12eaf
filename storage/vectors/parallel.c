/* SPDX-License-Identifier: Apache-2.0 */
/* parallel: see parallel.h. */
#include "storage/vectors/parallel.h"

#include <pthread.h>
#include <sched.h>

#include "common/assert.h"

struct part {
    void (*work)(void *context, unsigned index);
    void *context;
    unsigned index;
    pthread_t thread;
};

unsigned parallel_thread_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    int count = CPU_COUNT(&cores);
    return count > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX : (unsigned)count;
}

static void *part_run(void *arg)
{
    struct part *part = arg;
    part->work(part->context, part->index);
    return NULL;
}

void parallel_run(unsigned count, void (*work)(void *context, unsigned index), void *context)
{
    ASSERT(count >= 1 && count <= PARALLEL_THREADS_MAX);
    struct part parts[PARALLEL_THREADS_MAX];
    unsigned started = 1;
    for (; started < count; started++) {
        struct part *part = &parts[started];
        *part = (struct part){.work = work, .context = context, .index = started};
        if (pthread_create(&part->thread, NULL, part_run, part) != 0)
            break;
    }
    work(context, 0);
    for (unsigned i = 1; i < started; i++)
        pthread_join(parts[i].thread, NULL);
}
