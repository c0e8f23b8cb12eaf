/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_top: `argosy top`: a fleet live, on a terminal; or as one text or as lines of JSON, for
 * scripts (docs/operations.md).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command_table.h"
#include "cli/fleet_fetcher.h"
#include "cli/fleet_view.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/top_draw.h"
#include "cli/top_frame.h"
#include "common/clock.h"

#define INTERVAL_MS     1000
#define INTERVAL_MS_MIN 100
/* Who watches is told of an engine that does not answer within it, and waits no longer for the end.
 */
#define WATCH_TIMEOUT_MS 2000

static const struct option top_options[] = {
    {"interval", NULL, 'i', OPTION_DURATION, "TIME", "how often it is looked (1s)", NULL},
    {"node", NULL, 0, OPTION_TEXT, "NAME", "one node's workers and GPUs only", NULL},
    {"once", NULL, 0, OPTION_FLAG, NULL, "one interval as text, also to a terminal", NULL},
    {0},
};

struct top {
    struct session session;
    struct fleet_question question;
    int64_t interval_ms;

    json_t *fleet; /* the latest; NULL: none */
    uint64_t fleet_ns;
    json_t *frame; /* NULL: none */
    struct top_view view;
    char trouble[ERROR_TEXT_MAX];
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "out of memory");
}

/* A new fleet makes a frame with the one before. Takes it. */
static int take_fleet(struct top *top, json_t *fleet, struct error *err)
{
    uint64_t now_ns = clock_monotonic_ns();
    int64_t interval_us = (int64_t)((now_ns - top->fleet_ns) / NS_PER_US);
    json_t *frame = top_frame_create(top->fleet, fleet, interval_us, clock_utc_us());
    json_decref(top->fleet);
    json_decref(top->frame);
    top->fleet = fleet;
    top->fleet_ns = now_ns;
    top->frame = frame;
    top->view.trouble = NULL;
    if (frame == NULL)
        return out_of_memory(err);
    top_view_note(&top->view, frame);
    return 0;
}

static int fetch(struct top *top, struct error *err)
{
    json_t *fleet;
    int code = fleet_fetch(&top->session, &top->question, &fleet, err);
    return code == 0 ? take_fleet(top, fleet, err) : code;
}

static void sleep_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
    nanosleep(&time, NULL);
}

/* --- without a terminal --- */

static int print_frame(const struct top *top, struct error *err)
{
    struct style style;
    style_detect(stdout, &style);
    struct drawing drawing = {.style = &style};
    top_draw(top->frame, &top->view, &drawing);
    int code = 0;
    if (drawing.text.failed)
        code = out_of_memory(err);
    else
        fputs(buffer_text(&drawing.text), stdout);
    drawing_fini(&drawing);
    return code;
}

static int print_json(json_t *value, struct error *err)
{
    char *line = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (line == NULL)
        return out_of_memory(err);
    puts(line);
    free(line);
    return fflush(stdout) == 0 ? 0 : error_set(err, ERR_IO, "cannot write");
}

/* The first two fleets make the first whole interval. */
static int fetch_interval(struct top *top, struct error *err)
{
    int code = fetch(top, err);
    if (code == 0) {
        sleep_ms(top->interval_ms);
        code = fetch(top, err);
    }
    return code;
}

static int run_once(struct top *top, bool is_json, struct error *err)
{
    int code = fetch_interval(top, err);
    if (code != 0)
        return code;
    return is_json ? print_json(top->frame, err) : print_frame(top, err);
}

/* Lines until somebody ends it. An engine that is away for a while is told of in a line. */
static int run_lines(struct top *top, struct error *err)
{
    int code = fetch_interval(top, err);
    argosy_client_set_timeout(top->session.client, WATCH_TIMEOUT_MS);
    while (code == 0) {
        struct error why = {0};
        code = print_json(top->frame, err);
        if (code != 0)
            break;
        sleep_ms(top->interval_ms);
        while (code == 0 && fetch(top, &why) != 0) {
            json_t *line =
                json_pack("{s:I, s:s}", "utcUs", (json_int_t)clock_utc_us(), "error", why.text);
            code = print_json(line, err);
            json_decref(line);
            sleep_ms(top->interval_ms);
        }
    }
    return code;
}

/* --- on a terminal --- */

static int show(struct top *top, struct error *err)
{
    struct style style;
    style_detect(stdout, &style);
    terminal_size(&style.columns, &top->view.rows);
    struct drawing drawing = {.style = &style};
    top_draw(top->frame, &top->view, &drawing);
    int code = drawing.text.failed ? out_of_memory(err) : terminal_show(&drawing.text, err);
    drawing_fini(&drawing);
    return code;
}

static void scroll(struct top_view *view, long lines)
{
    if (lines < 0 && view->scroll < (size_t)-lines)
        view->scroll = 0;
    else if (view->section != TOP_ALL)
        view->scroll += (size_t)lines;
}

static void turn_to(struct top_view *view, int section)
{
    view->section = (enum top_section)((section + TOP_SECTION_COUNT) % TOP_SECTION_COUNT);
    view->scroll = 0;
}

/* False: q. */
static bool take_key(struct top_view *view, int key)
{
    long page = view->rows > 8 ? (long)view->rows - 8 : 1;
    switch (key) {
    case 'q':
        return false;
    case 'p':
    case ' ':
        view->is_paused = !view->is_paused;
        break;
    case 's':
        view->sort = (enum top_sort)((view->sort + 1) % TOP_SORT_COUNT);
        break;
    case '1':
    case '2':
    case '3':
    case '4':
        turn_to(view, key - '1');
        break;
    case '\t':
    case KEY_RIGHT:
        turn_to(view, (int)view->section + 1);
        break;
    case KEY_LEFT:
        turn_to(view, (int)view->section - 1);
        break;
    case KEY_UP:
        scroll(view, -1);
        break;
    case KEY_DOWN:
        scroll(view, 1);
        break;
    case KEY_PAGE_UP:
        scroll(view, -page);
        break;
    case KEY_PAGE_DOWN:
        scroll(view, page);
        break;
    default:
        break;
    }
    return true;
}

static int take_answer(struct top *top, struct fleet_fetcher *fetcher, struct error *err)
{
    json_t *fleet;
    struct error why;
    int code;
    if (!fleet_fetcher_take(fetcher, &code, &fleet, &why))
        return 0;
    if (code == 0)
        return take_fleet(top, fleet, err);
    /* The last frame stays, with what is wrong: it may pass. */
    snprintf(top->trouble, sizeof top->trouble, "%s", why.text);
    top->view.trouble = top->trouble;
    return 0;
}

static int wait_ms(const struct top *top, uint64_t next_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (top->view.is_paused)
        return -1;
    return next_ns > now_ns ? (int)((next_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static int watch(struct top *top, struct fleet_fetcher *fetcher, struct error *err)
{
    uint64_t next_ns = 0;
    for (;;) {
        int key = 0;
        uint64_t now_ns = clock_monotonic_ns();
        if (!top->view.is_paused && now_ns >= next_ns) {
            fleet_fetcher_ask(fetcher);
            next_ns = now_ns + (uint64_t)top->interval_ms * NS_PER_MS;
        }
        enum terminal_event event =
            terminal_wait(fleet_fetcher_fd(fetcher), wait_ms(top, next_ns), &key);
        if (event == TERMINAL_ENDED || (event == TERMINAL_KEY && !take_key(&top->view, key)))
            return 0;
        int code = take_answer(top, fetcher, err);
        if (code == 0)
            code = show(top, err);
        if (code != 0)
            return code;
    }
}

static int run_terminal(struct top *top, struct error *err)
{
    struct fleet_fetcher *fetcher = NULL;
    argosy_client_set_timeout(top->session.client, WATCH_TIMEOUT_MS);
    int code = terminal_open(err);
    if (code == 0)
        code = fleet_fetcher_open(&top->session, &top->question, &fetcher, err);
    if (code == 0)
        code = watch(top, fetcher, err);
    terminal_close(); /* what is under way need not be waited for by the eye */
    fleet_fetcher_close(fetcher);
    return code;
}

/* Who was ended by a signal ends by it. */
static void end_as_asked(void)
{
    sigset_t none;
    if (terminal_signal() == 0)
        return;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    raise(terminal_signal());
}

static int top_run(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    int64_t interval_ms = parsed_duration_ms(parsed, "interval", INTERVAL_MS);
    bool is_live = !parsed_has(parsed, "once") && !invocation->json && terminal_is_there();
    if (interval_ms < INTERVAL_MS_MIN)
        return command_usage(invocation, "--interval is at least %d ms", INTERVAL_MS_MIN);
    struct top top = {.interval_ms = interval_ms,
                      .question = {.node = parsed_text(parsed, "node"), .waits = !is_live}};
    int code = session_open(invocation, &top.session, err);
    if (code != 0)
        return code;
    if (is_live)
        code = run_terminal(&top, err);
    else if (invocation->json && !parsed_has(parsed, "once"))
        code = run_lines(&top, err);
    else
        code = run_once(&top, invocation->json, err);
    json_decref(top.fleet);
    json_decref(top.frame);
    session_close(&top.session);
    end_as_asked();
    return code;
}

const struct command command_top = {
    .name = "top",
    .summary = "a fleet live: queues, workers, GPUs, throughput",
    .arguments = "",
    .about =
        "On a terminal the screen is drawn anew each second. Keys: 1 to 4, tab and arrows choose\n"
        "all, queues, workers or GPUs; up and down scroll; s sorts workers by name, cpu, memory,\n"
        "tasks or oldest task; p pauses; q quits. Without a terminal, or with --once, one\n"
        "interval is printed as text; --output json prints an object for each interval.",
    .example = "argosy top\n"
               "argosy top --once\n"
               "argosy top --address tcp://engine:7233 --interval 5s\n"
               "argosy top --output json | jq --unbuffered .throughput.donePerSecond",
    .options = {{top_options, session_options, common_options}},
    .run = top_run,
};
