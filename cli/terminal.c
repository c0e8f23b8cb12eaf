/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: see terminal.h. */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT    24
/* The rest of a key's sequence comes with its first byte, but for a slow line. */
#define ESCAPE_MS 20

static const char enter[] = "\033[?1049h\033[?25l\033[H\033[2J";
static const char leave[] = "\033[?25h\033[?1049l";

static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define CRASH_COUNT (sizeof crashes / sizeof crashes[0])

/* One a process: what ends it finds this without being told. */
static struct {
    volatile sig_atomic_t is_ours;
    struct termios saved;
    int signal_fd;
    int end_signal;
} terminal = {.signal_fd = -1};

bool terminal_is_there(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

/* Of what a signal handler may call. */
void terminal_close(void)
{
    if (!terminal.is_ours)
        return;
    terminal.is_ours = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
    ssize_t written = write(STDOUT_FILENO, leave, sizeof leave - 1);
    (void)written;
}

static void on_crash(int number)
{
    terminal_close();
    signal(number, SIG_DFL);
    raise(number);
}

static int take(struct error *err)
{
    struct termios raw = terminal.saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal.is_ours = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0 ||
        write(STDOUT_FILENO, enter, sizeof enter - 1) != (ssize_t)sizeof enter - 1) {
        terminal_close();
        return error_set(err, ERR_IO, "cannot use the terminal");
    }
    return 0;
}

int terminal_open(struct error *err)
{
    sigset_t signals;
    struct sigaction crash = {.sa_handler = on_crash};
    sigemptyset(&signals);
    static const int news[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    for (size_t i = 0; i < sizeof news / sizeof news[0]; i++)
        sigaddset(&signals, news[i]);
    if (tcgetattr(STDIN_FILENO, &terminal.saved) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot use the terminal");
    terminal.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&signals, SIGTTOU); /* who is in the background may give a terminal back */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (terminal.signal_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot take signals");
    for (size_t i = 0; i < CRASH_COUNT; i++)
        sigaction(crashes[i], &crash, NULL);
    atexit(terminal_close);
    return take(err);
}

int terminal_signal(void)
{
    return terminal.end_signal;
}

void terminal_size(uint32_t *ret_columns, uint32_t *ret_rows)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    *ret_rows = size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

static enum terminal_event take_signal(void)
{
    struct signalfd_siginfo info;
    if (read(terminal.signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return TERMINAL_NOTHING;
    if (info.ssi_signo == SIGWINCH)
        return TERMINAL_RESIZED;
    if (info.ssi_signo != SIGTSTP) {
        terminal.end_signal = (int)info.ssi_signo;
        return TERMINAL_ENDED;
    }
    terminal_close();
    raise(SIGSTOP); /* until the shell continues us */
    return take(NULL) == 0 ? TERMINAL_RESIZED : TERMINAL_ENDED;
}

/* The next byte of a sequence; 0: none. */
static char next_byte(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    if (poll(&fd, 1, ESCAPE_MS) <= 0 || read(STDIN_FILENO, &byte, 1) != 1)
        return 0;
    return byte;
}

/* The key of a sequence behind its escape. */
static int read_sequence(void)
{
    static const struct {
        char byte;
        int key;
    } keys[] = {{'A', KEY_UP},   {'B', KEY_DOWN},    {'C', KEY_RIGHT},
                {'D', KEY_LEFT}, {'5', KEY_PAGE_UP}, {'6', KEY_PAGE_DOWN}};
    char byte = next_byte();
    if (byte != '[' && byte != 'O')
        return KEY_OTHER;
    byte = next_byte();
    int key = KEY_OTHER;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        key = keys[i].byte == byte ? keys[i].key : key;
    while (byte != 0 && strchr("0123456789;", byte) != NULL) /* "5~", "1;5A" */
        byte = next_byte();
    return key;
}

static enum terminal_event take_key(int *ret_key)
{
    unsigned char byte;
    if (read(STDIN_FILENO, &byte, 1) != 1)
        return TERMINAL_ENDED;
    *ret_key = byte == '\033' ? read_sequence() : byte;
    return TERMINAL_KEY;
}

enum terminal_event terminal_wait(int wake_fd, int timeout_ms, int *ret_key)
{
    struct pollfd fds[] = {{.fd = terminal.signal_fd, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = wake_fd, .events = POLLIN}};
    if (poll(fds, 3, timeout_ms) <= 0)
        return TERMINAL_NOTHING;
    if (fds[0].revents != 0)
        return take_signal();
    if (fds[1].revents != 0)
        return take_key(ret_key);
    return TERMINAL_NOTHING;
}

static int write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written < 0 && errno != EINTR)
            return -1;
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int terminal_show(struct buffer *lines, struct error *err)
{
    /* Each line is written over the one that is there, so that nothing flickers. */
    struct buffer screen = {0};
    const char *text = buffer_text(lines);
    buffer_append_text(&screen, "\033[H");
    for (const char *end; *text != '\0'; text = end + 1) {
        end = strchr(text, '\n');
        bool is_last = end[1] == '\0';
        buffer_append(&screen, text, (size_t)(end - text));
        /* A line feed in the last row would scroll. */
        buffer_append_text(&screen, is_last ? "\033[K" : "\033[K\r\n");
    }
    buffer_append_text(&screen, "\033[J");
    int code = 0;
    if (screen.failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (write_all((const char *)screen.data, screen.size) != 0)
        code = error_set_errno(err, ERR_IO, errno, "cannot write to the terminal");
    buffer_fini(&screen);
    return code;
}
