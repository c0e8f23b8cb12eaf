/* SPDX-License-Identifier: Apache-2.0 */
/* plot: see plot.h. */
#include "workflows/evaluation/plot.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "workflows/evaluation/markup.h"

static double number(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

static void text_at(struct buffer *out, double x, double y, const char *anchor, const char *text)
{
    buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    markup_text(out, text);
    buffer_append_text(out, "</text>");
}

static void svg_begin(struct buffer *out, double width, double height, const char *title)
{
    buffer_printf(out,
                  "<svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx\">"
                  "<title>",
                  width, height, width);
    markup_text(out, title);
    buffer_append_text(out, "</title>\n");
}

static void svg_end(struct buffer *out)
{
    buffer_append_text(out, "</svg>\n");
}

static void line(struct buffer *out, const char *class, double x1, double y1, double x2, double y2)
{
    buffer_printf(out,
                  "<line class=\"%s\" stroke=\"currentColor\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                  "y2=\"%.1f\"/>",
                  class, x1, y1, x2, y2);
}

/* ---- axes ---- */

/* Values from least to most are at from to to, in units of the picture. */
struct scale {
    double least, most, from, to;
};

static double scale_place(const struct scale *scale, double value)
{
    double share = (value - scale->least) / (scale->most - scale->least);
    return scale->from + share * (scale->to - scale->from);
}

/* 1, 2 or 5 times a power of ten, so that there are about five steps. */
static double scale_step(const struct scale *scale)
{
    double rough = (scale->most - scale->least) / 5, power = pow(10, floor(log10(rough)));
    double times = rough / power;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

/* Ticks with numbers, and a faint line from each across the picture, to `across`. */
static void scale_draw(struct buffer *out, const struct scale *scale, bool is_upright, double at,
                       double across)
{
    double step = scale_step(scale);
    long first = (long)ceil(scale->least / step - 1e-9);
    long last = (long)floor(scale->most / step + 1e-9);
    for (long i = first; i <= last; i++) {
        char text[32];
        double place = scale_place(scale, (double)i * step);
        snprintf(text, sizeof text, "%.4g", (double)i * step);
        if (is_upright) {
            line(out, "grid", at, place, across, place);
            text_at(out, at - 6, place + 4, "end", text);
        } else {
            line(out, "grid", place, at, place, across);
            text_at(out, place, at + 16, "middle", text);
        }
        buffer_append_text(out, "\n");
    }
}

/* ---- metrics ---- */

#define ROW_HEIGHT 44.0

static void interval(struct buffer *out, const struct scale *scale, const char *class, double y,
                     const json_t *estimate)
{
    double low = scale_place(scale, number(estimate, "low"));
    double high = scale_place(scale, number(estimate, "high"));
    line(out, class, low, y, high, y);
    line(out, class, low, y - 5, low, y + 5);
    line(out, class, high, y - 5, high, y + 5);
    buffer_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>\n", class,
                  scale_place(scale, number(estimate, "value")), y);
}

/* The least of all that is drawn, rounded down to a tenth. */
static double least_of(const json_t *metrics)
{
    double least = 0.9;
    size_t place;
    const json_t *metric;
    json_array_foreach(metrics, place, metric)
    {
        const json_t *baseline = json_object_get(metric, "baseline");
        const json_t *minimum = json_object_get(metric, "minimum");
        least = fmin(least, number(metric, "low"));
        if (baseline != NULL)
            least = fmin(least, number(baseline, "low"));
        if (minimum != NULL)
            least = fmin(least, json_number_value(minimum));
    }
    return floor(least * 10 + 1e-9) / 10;
}

void plot_metrics(const json_t *report, struct buffer *out)
{
    const json_t *metrics = json_object_get(report, "metrics"), *metric;
    size_t place, count = json_array_size(metrics);
    double bottom = 12 + ROW_HEIGHT * (double)count;
    struct scale scale = {.least = least_of(metrics), .most = 1, .from = 110, .to = 620};
    if (count == 0)
        return;
    svg_begin(out, 640, bottom + 28, "metrics with their intervals");
    scale_draw(out, &scale, false, bottom, 6);
    json_array_foreach(metrics, place, metric)
    {
        double y = 12 + ROW_HEIGHT * ((double)place + 0.5);
        const json_t *baseline = json_object_get(metric, "baseline");
        const json_t *minimum = json_object_get(metric, "minimum");
        bool is_passed = json_is_true(json_object_get(metric, "passed"));
        text_at(out, 100, y + 4, "end", json_string_value(json_object_get(metric, "name")));
        if (minimum != NULL) {
            double x = scale_place(&scale, json_number_value(minimum));
            line(out, "limit", x, y - 18, x, y + 18);
        }
        interval(out, &scale, is_passed ? "own" : "missed", baseline != NULL ? y - 8 : y, metric);
        if (baseline != NULL)
            interval(out, &scale, "base", y + 8, baseline);
    }
    svg_end(out);
}

/* ---- confusion ---- */

#define CELL             34.0
#define CHARACTER        7.0
#define LABEL_CHARACTERS 20u

/* The width of the longest label, by its bytes: room enough, and at times more. */
static double label_room(const json_t *labels)
{
    size_t place, longest = 4;
    const json_t *label;
    json_array_foreach(labels, place, label)
    {
        size_t size = json_string_length(json_object_get(label, "label"));
        longest = size > longest ? size : longest;
    }
    return CHARACTER * (double)(longest < LABEL_CHARACTERS + 2 ? longest : LABEL_CHARACTERS + 2) +
           14;
}

static void label_at(struct buffer *out, const json_t *row, double x, double y, double turn)
{
    buffer_printf(out, "<text transform=\"translate(%.1f %.1f) rotate(%.0f)\" text-anchor=\"%s\">",
                  x, y, turn, turn != 0 ? "start" : "end");
    markup_text_cut(out, json_string_value(json_object_get(row, "label")), LABEL_CHARACTERS);
    buffer_append_text(out, "</text>\n");
}

static void cells_draw(struct buffer *out, const json_t *row, size_t truth, double support,
                       double room)
{
    size_t answer;
    const json_t *cell;
    json_array_foreach(row, answer, cell)
    {
        double count = json_number_value(cell), x = room + CELL * (double)answer;
        double y = room + CELL * (double)truth, share = support > 0 ? count / support : 0;
        buffer_printf(out,
                      "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                      "fill-opacity=\"%.3f\"/>",
                      truth == answer ? "right" : "wrong", x, y, CELL - 2, CELL - 2,
                      0.06 + 0.7 * share);
        if (count > 0)
            buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f</text>\n",
                          x + CELL / 2 - 1, y + CELL / 2 + 4, count);
    }
}

void plot_confusion(const json_t *report, struct buffer *out)
{
    const json_t *details = json_object_get(report, "details"), *row;
    const json_t *labels = json_object_get(details, "labels");
    const json_t *confusion = json_object_get(details, "confusion");
    size_t place, count = json_array_size(confusion);
    double room = label_room(labels), size = room + CELL * (double)count;
    if (count == 0 || count > PLOT_LABELS_MAX)
        return;
    svg_begin(out, size + room, size + 8, "confusion matrix");
    json_array_foreach(confusion, place, row)
    {
        const json_t *label = json_array_get(labels, place);
        double middle = room + CELL * ((double)place + 0.5);
        label_at(out, label, room - 8, middle + 3, 0);
        label_at(out, label, middle + 2, room - 8, -45);
        cells_draw(out, row, place, number(label, "support"), room);
    }
    svg_end(out);
}

/* ---- scatter ---- */

void plot_scatter(const json_t *report, struct buffer *out)
{
    const json_t *cases = json_object_get(report, "cases");
    size_t count = json_array_size(cases), step = count / PLOT_POINTS_MAX + 1;
    if (count == 0)
        return;
    struct scale x = {.least = INFINITY, .most = -INFINITY, .from = 60, .to = 580};
    struct scale y = {.least = 0, .most = 1, .from = 320, .to = 16};
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(cases, i);
        x.least = fmin(x.least, number(one, "truth"));
        x.most = fmax(x.most, number(one, "truth"));
        y.least = fmin(y.least, number(one, "answer"));
    }
    if (x.most - x.least < 1e-9) {
        x.least -= 1;
        x.most += 1;
    }
    y.least = floor(y.least * 5 + 1e-9) / 5;
    svg_begin(out, 600, 360, "the model's similarity over the suite's score");
    scale_draw(out, &x, false, y.from, y.to);
    scale_draw(out, &y, true, x.from, x.to);
    for (size_t i = 0; i < count; i += step) {
        const json_t *one = json_array_get(cases, i);
        buffer_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>",
                      json_is_true(json_object_get(one, "right")) ? "point" : "point missed",
                      scale_place(&x, number(one, "truth")),
                      scale_place(&y, number(one, "answer")));
        markup_text(out, json_string_value(json_object_get(one, "id")));
        buffer_append_text(out, "</title></circle>\n");
    }
    text_at(out, 320, 354, "middle", "score in the suite");
    svg_end(out);
}

/* ---- recall ---- */

static void curve_draw(struct buffer *out, const json_t *curve, const struct scale *x,
                       const struct scale *y, const char *class)
{
    size_t place;
    const json_t *value;
    if (json_array_size(curve) == 0)
        return;
    buffer_printf(
        out, "<polyline class=\"curve %s\" fill=\"none\" stroke=\"currentColor\" points=\"", class);
    json_array_foreach(curve, place, value)
        buffer_printf(out, "%.1f,%.1f ", scale_place(x, (double)place + 1),
                      scale_place(y, json_real_value(value)));
    buffer_append_text(out, "\"/>\n");
    json_array_foreach(curve, place, value)
    {
        if (json_array_size(curve) > 30)
            break;
        buffer_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", class,
                      scale_place(x, (double)place + 1), scale_place(y, json_real_value(value)));
    }
}

void plot_recall(const json_t *report, struct buffer *out)
{
    const json_t *details = json_object_get(report, "details");
    const json_t *curve = json_object_get(details, "recall");
    size_t count = json_array_size(curve);
    if (count == 0)
        return;
    struct scale x = {.least = 1, .most = count > 1 ? (double)count : 2, .from = 60, .to = 580};
    struct scale y = {.least = 0, .most = 1, .from = 280, .to = 16};
    svg_begin(out, 600, 320, "recall@K over K");
    scale_draw(out, &x, false, y.from, y.to);
    scale_draw(out, &y, true, x.from, x.to);
    curve_draw(out, json_object_get(details, "baseline_recall"), &x, &y, "base");
    curve_draw(out, curve, &x, &y, "own");
    text_at(out, 320, 314, "middle", "K");
    svg_end(out);
}
