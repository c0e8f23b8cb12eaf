/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: the descriptors that the supervisor waits for, each with what is to be called when it is
 * readable. A new kind of news is a new source, and nothing here.
 *
 * One source is called in a turn, so that what it closes or frees is not called any more. A source
 * lies where it was watched until its descriptor is closed, which is what ends the watching.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_SUPERVISOR_LOOP_H
#define ARGOSY_SUPERVISOR_LOOP_H

#include "common/error.h"

struct loop {
    int epoll_fd;
};

struct loop_source {
    void (*take)(void *context, void *subject);
    void *context;
    void *subject; /* a process; NULL */
};

/* ERR_IO. */
int loop_open(struct loop *ret_loop, struct error *err);
void loop_close(struct loop *loop);

/* Calls source when fd is readable or at its end. ERR_IO. */
int loop_watch(struct loop *loop, int fd, struct loop_source *source, struct error *err);

/* The same for one call; then, or for a descriptor that was watched so before, it is to be watched
 * anew. */
int loop_watch_once(struct loop *loop, int fd, struct loop_source *source, struct error *err);

/* Waits for at most timeout_ms and calls at most one source. */
void loop_turn(struct loop *loop, int timeout_ms);

#endif
