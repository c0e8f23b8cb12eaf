/* SPDX-License-Identifier: Apache-2.0 */
/* progress: see progress.h. */
#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/output.h"
#include "common/buffer.h"
#include "common/clock.h"

#define BAR_INTERVAL_NS   (100 * NS_PER_MS)
#define LINES_INTERVAL_NS (5 * NS_PER_S)
#define BAR_WIDTH_MIN     10u
#define BAR_WIDTH_MAX     40u
#define COLUMNS_DEFAULT   80u

/* A rate of less time than this says nothing. */
#define RATE_TIME_MIN_NS (NS_PER_S / 2)

static bool is_bytes(const struct progress *progress)
{
    return strcmp(progress->unit, "bytes") == 0;
}

static void amount_append(const struct progress *progress, double amount, struct buffer *out)
{
    char text[OUTPUT_BYTES_SIZE];
    if (is_bytes(progress))
        buffer_append_text(out, output_bytes(amount, text));
    else
        buffer_printf(out, amount < 10 && amount != (double)(uint64_t)amount ? "%.1f" : "%.0f",
                      amount);
}

static void count_append(const struct progress *progress, const char *between, struct buffer *out)
{
    amount_append(progress, (double)progress->shown_done, out);
    if (progress->shown_total > 0) {
        buffer_append_text(out, between);
        amount_append(progress, (double)progress->shown_total, out);
    }
    if (!is_bytes(progress))
        buffer_printf(out, " %s", progress->unit);
}

static unsigned percent(const struct progress *progress)
{
    double share = (double)progress->shown_done / (double)progress->shown_total;
    return share >= 1 ? 100 : (unsigned)(100 * share);
}

/* Rate and time left, where both can be told; before goes in front of each. */
static void speed_append(const struct progress *progress, const char *before, struct buffer *out)
{
    uint64_t elapsed_ns = progress->shown_ns - progress->begin_ns;
    if (elapsed_ns < RATE_TIME_MIN_NS || progress->shown_done <= progress->begin_done)
        return;
    double rate = (double)(progress->shown_done - progress->begin_done) /
                  ((double)elapsed_ns / (double)NS_PER_S);
    buffer_append_text(out, before);
    amount_append(progress, rate, out);
    buffer_append_text(out, "/s");
    if (progress->shown_done >= progress->shown_total)
        return;
    double left_s = (double)(progress->shown_total - progress->shown_done) / rate;
    if (left_s > 100.0 * 86400)
        return;
    char text[OUTPUT_TIME_SIZE];
    int64_t whole_us = (int64_t)ceil(left_s) * US_PER_S;
    if (left_s < 60)
        snprintf(text, sizeof text, "%" PRId64 "s", whole_us / US_PER_S);
    else
        output_duration(whole_us, text);
    buffer_printf(out, "%s%s left", before, text);
}

static void note_append(const struct progress *progress, const char *before, struct buffer *out)
{
    if (progress->note[0] != '\0')
        buffer_printf(out, "%s%s", before, progress->note);
}

/* ---- forms ---- */

static uint32_t terminal_columns(const struct progress *progress)
{
    struct winsize size;
    if (progress->columns > 0)
        return progress->columns;
    if (ioctl(fileno(progress->out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

static void bar_append(const struct progress *progress, uint32_t room, struct buffer *out)
{
    uint32_t width = room < BAR_WIDTH_MAX ? room : BAR_WIDTH_MAX;
    uint32_t filled = width * percent(progress) / 100;
    buffer_append_text(out, " [");
    for (uint32_t i = 0; i < width; i++)
        buffer_append_byte(out, i < filled ? '#' : '.');
    buffer_append_byte(out, ']');
}

static void show_bar(const struct progress *progress)
{
    struct buffer facts = {0}, line = {0};
    if (progress->shown_total > 0)
        buffer_printf(&facts, " %3u%%", percent(progress));
    buffer_append_text(&facts, "  ");
    count_append(progress, "/", &facts);
    speed_append(progress, "  ", &facts);
    note_append(progress, "  ", &facts);
    buffer_append_text(&line, progress->stage);
    /* One column stays free: a line that fills the last one may wrap. */
    size_t columns = terminal_columns(progress) - 1;
    size_t used = output_width(progress->stage) + facts.size + sizeof " []" - 1;
    if (progress->shown_total > 0 && used + BAR_WIDTH_MIN <= columns)
        bar_append(progress, (uint32_t)(columns - used), &line);
    buffer_append(&line, facts.data, facts.size);
    if (!line.failed && !facts.failed) {
        output_cut(&line, columns);
        fprintf(progress->out, "\r%s\033[K", buffer_text(&line));
        fflush(progress->out);
    }
    buffer_fini(&facts);
    buffer_fini(&line);
}

static void show_line(const struct progress *progress)
{
    struct buffer line = {0};
    buffer_printf(&line, "%s: ", progress->stage);
    count_append(progress, " of ", &line);
    if (progress->shown_total > 0)
        buffer_printf(&line, " (%u%%)", percent(progress));
    speed_append(progress, ", ", &line);
    note_append(progress, ", ", &line);
    if (!line.failed) {
        fprintf(progress->out, "%s\n", buffer_text(&line));
        fflush(progress->out);
    }
    buffer_fini(&line);
}

/* ---- the stage ---- */

static void name_copy(char *name, size_t size, const char *text)
{
    struct buffer safe = {0};
    output_safe(text, strlen(text), &safe);
    output_cut(&safe, size / 4 - 1); /* a character has at most four bytes */
    snprintf(name, size, "%s", buffer_text(&safe));
    buffer_fini(&safe);
}

void progress_init(struct progress *progress, FILE *out, enum progress_form form, uint32_t columns)
{
    *progress = (struct progress){.out = out, .form = form, .columns = columns};
}

void progress_open(struct progress *progress, bool is_silent)
{
    enum progress_form form = PROGRESS_SILENT;
    if (!is_silent)
        form = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINES;
    progress_init(progress, stderr, form, 0);
}

void progress_stage(struct progress *progress, const char *stage, const char *unit)
{
    char name[PROGRESS_NAME_SIZE];
    name_copy(name, sizeof name, stage);
    if (strcmp(name, progress->stage) == 0)
        return;
    memcpy(progress->stage, name, sizeof name);
    name_copy(progress->unit, sizeof progress->unit, unit);
    progress->note[0] = '\0';
    progress->has_begun = false;
    if (progress->form == PROGRESS_LINES)
        progress->is_shown = false;
}

void progress_note(struct progress *progress, const char *note)
{
    name_copy(progress->note, sizeof progress->note, note);
}

/* Whether what is shown is too old now; the end of a stage is shown where its course was. */
static bool is_due(const struct progress *progress, uint64_t done, uint64_t total, uint64_t now_ns)
{
    bool is_same = done == progress->shown_done && total == progress->shown_total;
    bool is_end = total > 0 && done >= total && !is_same;
    if (progress->form == PROGRESS_BAR)
        return !progress->is_shown || is_end || now_ns - progress->shown_ns >= BAR_INTERVAL_NS;
    if (progress->is_shown)
        return is_end || now_ns - progress->shown_ns >= LINES_INTERVAL_NS;
    return now_ns - progress->begin_ns >= LINES_INTERVAL_NS;
}

void progress_update_at(struct progress *progress, uint64_t done, uint64_t total, uint64_t now_ns)
{
    if (progress->form == PROGRESS_SILENT)
        return;
    if (!progress->has_begun) {
        progress->has_begun = true;
        progress->begin_ns = now_ns;
        progress->begin_done = done;
    }
    if (!is_due(progress, done, total, now_ns))
        return;
    progress->shown_ns = now_ns;
    progress->shown_done = done;
    progress->shown_total = total;
    progress->is_shown = true;
    if (progress->form == PROGRESS_BAR)
        show_bar(progress);
    else
        show_line(progress);
}

void progress_update(void *progress, uint64_t done, uint64_t total)
{
    progress_update_at(progress, done, total, clock_monotonic_ns());
}

void progress_close(struct progress *progress)
{
    if (progress->form == PROGRESS_BAR && progress->is_shown) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
    }
    progress->is_shown = false;
}
