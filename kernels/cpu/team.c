/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread team (team.h).
 *
 * One 64-bit word, the ticket, holds the number of the current piece of work (high half) and how
 * many of its items nobody has taken yet (low half). A member takes an item by lowering the low
 * half with a compare-and-swap that also proves that the piece is still the one it saw: a member
 * that wakes late finds nothing to take and goes back to waiting. An item that was taken keeps its
 * piece from ending, so the piece's description can be read without a lock from then on.
 *
 * Sleeping follows one pattern on both sides: the sleeper announces itself, then looks again under
 * the lock; the waker changes the word, then looks for announcements. All four are sequentially
 * consistent, so one of the two sees the other.
 */
#include "kernels/cpu/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernels/device.h"

/* About 30 microseconds of pause instructions: longer than the gap between two operations of a
 * forward pass, far shorter than anything that shows up as load. */
#define TEAM_SPINS 1000u

struct team_member {
    struct team *team;
    uint32_t index;
    pthread_t thread;
};

struct team {
    /* configuration */
    uint32_t threads;

    /* the current piece of work; written only while no item is outstanding */
    team_work do_item;
    const void *work;
    uint32_t items;

    _Atomic uint64_t ticket;  /* piece number << 32 | items not taken */
    _Atomic uint32_t pending; /* items not done */
    _Atomic bool is_closing;

    pthread_mutex_t lock;
    pthread_cond_t work_arrived;
    pthread_cond_t work_done;
    _Atomic uint32_t sleepers; /* members waiting for work_arrived */
    _Atomic bool is_caller_asleep;

    uint32_t started; /* members whose thread runs */
    struct team_member members[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t ticket_piece(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Takes and does items of `piece` until none is left. */
static void team_work_on(struct team *team, uint32_t piece, uint32_t thread)
{
    uint64_t ticket = atomic_load(&team->ticket);

    while (ticket_piece(ticket) == piece && (uint32_t)ticket > 0) {
        if (!atomic_compare_exchange_weak(&team->ticket, &ticket, ticket - 1))
            continue;
        team->do_item(team->work, team->items - (uint32_t)ticket, thread);
        if (atomic_fetch_sub(&team->pending, 1) == 1 && atomic_load(&team->is_caller_asleep)) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_signal(&team->work_done);
            pthread_mutex_unlock(&team->lock);
        }
        ticket = atomic_load(&team->ticket);
    }
}

/* Waits until the piece is another one than `last`, and returns it. */
static uint32_t team_wait_for_work(struct team *team, uint32_t last)
{
    for (uint32_t i = 0; i < TEAM_SPINS; i++) {
        uint32_t piece = ticket_piece(atomic_load(&team->ticket));
        if (piece != last)
            return piece;
        pause_briefly();
    }

    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->sleepers, 1);
    while (ticket_piece(atomic_load(&team->ticket)) == last)
        pthread_cond_wait(&team->work_arrived, &team->lock);
    atomic_fetch_sub(&team->sleepers, 1);
    pthread_mutex_unlock(&team->lock);
    return ticket_piece(atomic_load(&team->ticket));
}

static void *team_member_main(void *argument)
{
    struct team_member *member = argument;
    struct team *team = member->team;
    uint32_t piece = 0;

    for (;;) {
        piece = team_wait_for_work(team, piece);
        if (atomic_load(&team->is_closing))
            return NULL;
        team_work_on(team, piece, member->index);
    }
}

/* Shows the members the next piece. */
static void team_announce(struct team *team, uint32_t items)
{
    uint32_t piece = ticket_piece(atomic_load(&team->ticket)) + 1;

    atomic_store(&team->ticket, (uint64_t)piece << 32 | items);
    if (atomic_load(&team->sleepers) > 0) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->work_arrived);
        pthread_mutex_unlock(&team->lock);
    }
}

void team_run(struct team *team, team_work do_item, const void *work, uint32_t items)
{
    if (team->threads == 1 || items <= 1) {
        for (uint32_t i = 0; i < items; i++)
            do_item(work, i, 0);
        return;
    }

    team->do_item = do_item;
    team->work = work;
    team->items = items;
    atomic_store(&team->pending, items);
    team_announce(team, items);
    team_work_on(team, ticket_piece(atomic_load(&team->ticket)), 0);

    for (uint32_t i = 0; i < TEAM_SPINS; i++) {
        if (atomic_load(&team->pending) == 0)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->is_caller_asleep, true);
    while (atomic_load(&team->pending) > 0)
        pthread_cond_wait(&team->work_done, &team->lock);
    atomic_store(&team->is_caller_asleep, false);
    pthread_mutex_unlock(&team->lock);
}

uint32_t team_threads(const struct team *team)
{
    return team->threads;
}

static int team_member_start(struct team *team, uint32_t index, const uint32_t *cores)
{
    struct team_member *member = &team->members[index];
    pthread_attr_t attributes;
    int r = KERNEL_OK;

    if (pthread_attr_init(&attributes) != 0)
        return KERNEL_NO_MEMORY;
    if (cores) {
        cpu_set_t set;
        CPU_ZERO(&set);
        if (cores[index] < CPU_SETSIZE)
            CPU_SET(cores[index], &set);
        if (pthread_attr_setaffinity_np(&attributes, sizeof(set), &set) != 0)
            r = KERNEL_SYSTEM;
    }
    member->team = team;
    member->index = index;
    if (r == KERNEL_OK &&
        pthread_create(&member->thread, &attributes, team_member_main, member) != 0)
        r = KERNEL_SYSTEM;
    pthread_attr_destroy(&attributes);
    return r;
}

int team_create(uint32_t threads, const uint32_t *cores, struct team **ret_team)
{
    struct team *team = calloc(1, sizeof(*team) + threads * sizeof(team->members[0]));

    if (!team)
        return KERNEL_NO_MEMORY;
    team->threads = threads;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->work_arrived, NULL);
    pthread_cond_init(&team->work_done, NULL);
    for (team->started = 1; team->started < threads; team->started++) {
        int r = team_member_start(team, team->started, cores);
        if (r < 0) {
            team_destroy(team);
            return r;
        }
    }
    *ret_team = team;
    return KERNEL_OK;
}

void team_destroy(struct team *team)
{
    if (!team)
        return;
    atomic_store(&team->is_closing, true);
    team_announce(team, 0);
    for (uint32_t i = 1; i < team->started; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->work_done);
    pthread_cond_destroy(&team->work_arrived);
    pthread_mutex_destroy(&team->lock);
    free(team);
}
