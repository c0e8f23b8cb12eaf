/* SPDX-License-Identifier: Apache-2.0 */
/* loop: see loop.h. */
#include "supervisor/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int loop_open(struct loop *ret_loop, struct error *err)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot set up the supervisor's loop");
    ret_loop->epoll_fd = fd;
    return 0;
}

void loop_close(struct loop *loop)
{
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

int loop_watch(struct loop *loop, int fd, struct loop_source *source, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot watch descriptor %d", fd);
    return 0;
}

int loop_watch_once(struct loop *loop, int fd, struct loop_source *source, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0 &&
        (errno != ENOENT || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0))
        return error_set_errno(err, ERR_IO, errno, "cannot watch descriptor %d", fd);
    return 0;
}

void loop_turn(struct loop *loop, int timeout_ms)
{
    struct epoll_event event;
    if (epoll_wait(loop->epoll_fd, &event, 1, timeout_ms) != 1)
        return;
    const struct loop_source *source = event.data.ptr;
    source->take(source->context, source->subject);
}
