/* SPDX-License-Identifier: Apache-2.0 */
/* page: see page.h. */
#include "workflows/evaluation/page.h"

#include <stdbool.h>
#include <string.h>

#include "workflows/evaluation/markup.h"
#include "workflows/evaluation/plot.h"

/* Nothing may be fetched or run, whatever a text managed to look like. */
static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char style[] =
    "<style>\n"
    ":root{--ink:#1c2430;--soft:#5d6878;--paper:#fff;--tint:#f3f5f8;--rule:#d8dde5;--own:#1f6fd1;"
    "--base:#8a94a3;--bad:#c2362b;--good:#1c7f4a}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a3adba;--paper:#14181e;"
    "--tint:#1d232b;--rule:#343c47;--own:#6aa9f4;--base:#8791a0;--bad:#f07a6e;--good:#5cc78d}}\n"
    "body{margin:0 auto;padding:2rem 1rem 4rem;max-width:60rem;background:var(--paper);"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.4rem 0 .6rem}\n"
    "p{margin:.4rem 0}.soft{color:var(--soft)}\n"
    ".verdict{display:inline-block;padding:.1rem .7rem;border-radius:1rem;font-weight:600;"
    "border:2px solid}\n"
    ".passed{color:var(--good)}.failed{color:var(--bad)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.35rem .7rem;border-bottom:1px solid var(--rule);"
    "vertical-align:top;overflow-wrap:break-word}\n"
    "th{color:var(--soft);font-weight:600}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "ul{padding-left:1.2rem}figure{margin:0}figcaption{color:var(--soft)}\n"
    "svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--ink)}\n"
    "line{stroke-width:2}.grid{stroke:var(--rule);stroke-width:1}\n"
    "line.own,.curve.own{stroke:var(--own)}circle.own{fill:var(--own)}\n"
    "line.base,.curve.base{stroke:var(--base)}circle.base{fill:var(--base)}\n"
    "line.missed{stroke:var(--bad)}circle.missed{fill:var(--bad)}\n"
    ".limit{stroke:var(--ink);stroke-dasharray:3 3}\n"
    ".curve{fill:none;stroke-width:2}.curve.base{stroke-dasharray:6 4}\n"
    ".point{fill:var(--own);fill-opacity:.6}.point.missed{fill:var(--bad)}\n"
    "rect.right{fill:var(--own)}rect.wrong{fill:var(--bad)}\n"
    "</style>\n";

static const char *string_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : "";
}

static double number(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

static bool is_type(const json_t *report, const char *type)
{
    return strcmp(string_of(json_object_get(report, "suite"), "type"), type) == 0;
}

/* <bdi>: a text may not turn round what stands beside it. */
static void shown(struct buffer *out, const char *text)
{
    buffer_append_text(out, "<bdi>");
    markup_text(out, text);
    buffer_append_text(out, "</bdi>");
}

static void cell(struct buffer *out, const char *text)
{
    buffer_append_text(out, "<td>");
    shown(out, text);
    buffer_append_text(out, "</td>");
}

static void heads(struct buffer *out, const char *const *names)
{
    buffer_append_text(out, "<div class=\"wide\"><table><thead><tr>");
    for (; *names != NULL; names++) /* a '#' before a name: a column of numbers */
        buffer_printf(out, "<th%s>%s</th>", **names == '#' ? " class=\"n\"" : "",
                      **names == '#' ? *names + 1 : *names);
    buffer_append_text(out, "</tr></thead><tbody>\n");
}

static void table_end(struct buffer *out)
{
    buffer_append_text(out, "</tbody></table></div>\n");
}

/* ---- the parts ---- */

static void write_title(const json_t *report, struct buffer *out)
{
    const json_t *suite = json_object_get(report, "suite");
    const json_t *baseline = json_object_get(report, "baseline");
    bool is_passed = json_is_true(json_object_get(report, "passed"));
    buffer_append_text(out, "<h1>");
    shown(out, string_of(suite, "name"));
    buffer_append_text(out, ": ");
    shown(out, string_of(report, "model"));
    buffer_printf(out,
                  "</h1>\n<p><span class=\"verdict %s\">%s</span> <span class=\"soft\">%s, %.0f "
                  "cases",
                  is_passed ? "passed" : "failed", is_passed ? "passed" : "failed",
                  string_of(suite, "type"), number(suite, "cases"));
    if (json_object_get(suite, "documents") != NULL)
        buffer_printf(out, ", %.0f documents", number(suite, "documents"));
    if (json_is_object(baseline)) {
        buffer_append_text(out, "; baseline ");
        shown(out, string_of(baseline, "model"));
    }
    buffer_append_text(out, "</span></p>\n");
    if (string_of(suite, "description")[0] != '\0') {
        buffer_append_text(out, "<p>");
        shown(out, string_of(suite, "description"));
        buffer_append_text(out, "</p>\n");
    }
}

static void write_regressions(const json_t *report, struct buffer *out)
{
    const json_t *list = json_object_get(report, "regressions"), *regression;
    size_t place;
    if (json_array_size(list) == 0)
        return;
    buffer_append_text(out, "<h2>Regressions</h2>\n<ul class=\"failed\">\n");
    json_array_foreach(list, place, regression)
    {
        buffer_append_text(out, "<li>");
        shown(out, string_of(regression, "text"));
        buffer_append_text(out, "</li>\n");
    }
    buffer_append_text(out, "</ul>\n");
}

static void interval_cell(const json_t *estimate, struct buffer *out)
{
    if (json_is_object(estimate))
        buffer_printf(out,
                      "<td class=\"n\"><b>%.3f</b> <span class=\"soft\">%.3f to "
                      "%.3f</span></td>",
                      number(estimate, "value"), number(estimate, "low"), number(estimate, "high"));
}

static void threshold_cell(const json_t *metric, bool has_baseline, struct buffer *out)
{
    const json_t *minimum = json_object_get(metric, "minimum");
    const json_t *drop = json_object_get(metric, "maximum_drop");
    bool is_passed = json_is_true(json_object_get(metric, "passed"));
    if (minimum == NULL && drop == NULL) {
        buffer_append_text(out, "<td class=\"soft\">none</td>");
        return;
    }
    buffer_printf(out, "<td class=\"%s\">", is_passed ? "passed" : "failed");
    if (minimum != NULL)
        buffer_printf(out, "at least %.4g", json_number_value(minimum));
    if (drop != NULL)
        buffer_printf(out, "%sat most %.4g lower%s", minimum != NULL ? ", " : "",
                      json_number_value(drop), has_baseline ? "" : " (no baseline)");
    buffer_append_text(out, "</td>");
}

static void write_metrics(const json_t *report, struct buffer *out)
{
    static const char *const alone[] = {"metric", "#value, 95 % interval", "threshold", NULL};
    static const char *const beside[] = {
        "metric", "#value, 95 % interval", "#baseline", "#difference", "threshold", NULL};
    const json_t *metrics = json_object_get(report, "metrics"), *metric;
    bool has_baseline = json_is_object(json_object_get(report, "baseline"));
    size_t place;
    buffer_append_text(out, "<h2>Metrics</h2>\n<figure>\n");
    plot_metrics(report, out);
    buffer_printf(out,
                  "<figcaption>Bars are 95 %% intervals%s; a dashed line is a "
                  "minimum.</figcaption></figure>\n",
                  has_baseline ? ", the baseline's in grey" : "");
    heads(out, has_baseline ? beside : alone);
    json_array_foreach(metrics, place, metric)
    {
        buffer_append_text(out, "<tr>");
        cell(out, string_of(metric, "name"));
        interval_cell(metric, out);
        interval_cell(json_object_get(metric, "baseline"), out);
        interval_cell(json_object_get(metric, "difference"), out);
        threshold_cell(metric, has_baseline, out);
        buffer_append_text(out, "</tr>\n");
    }
    table_end(out);
}

static void write_labels(const json_t *report, struct buffer *out)
{
    static const char *const names[] = {"label", "#precision", "#recall", "#F1", "#cases", NULL};
    const json_t *labels = json_object_get(json_object_get(report, "details"), "labels"), *label;
    size_t place;
    buffer_append_text(out, "<h2>Confusion matrix</h2>\n<figure>\n");
    plot_confusion(report, out);
    buffer_append_text(out, "<figcaption>Rows are the truth, columns the answers.</figcaption>"
                            "</figure>\n<h2>Labels</h2>\n");
    heads(out, names);
    json_array_foreach(labels, place, label)
    {
        buffer_append_text(out, "<tr>");
        cell(out, string_of(label, "label"));
        buffer_printf(out,
                      "<td class=\"n\">%.3f</td><td class=\"n\">%.3f</td><td class=\"n\">%.3f</td>"
                      "<td class=\"n\">%.0f</td></tr>\n",
                      number(label, "precision"), number(label, "recall"), number(label, "f1"),
                      number(label, "support"));
    }
    table_end(out);
}

static void write_plot(const json_t *report, struct buffer *out)
{
    if (is_type(report, "classification")) {
        write_labels(report, out);
    } else if (is_type(report, "similarity")) {
        buffer_append_text(out, "<h2>Similarity</h2>\n<figure>\n");
        plot_scatter(report, out);
        buffer_append_text(out, "<figcaption>The model's cosine over the score in the suite; red "
                                "pairs are out of order.</figcaption></figure>\n");
    } else {
        buffer_append_text(out, "<h2>Recall</h2>\n<figure>\n");
        plot_recall(report, out);
        buffer_append_text(out, "<figcaption>Of what matters to a query, the share among the first "
                                "K.</figcaption></figure>\n");
    }
}

/* ---- cases ---- */

/* What a model answered, in the words of the suite's type. */
static void answer_cell(const json_t *report, const json_t *answer, struct buffer *out)
{
    const json_t *hits = json_object_get(answer, "hits");
    if (is_type(report, "similarity")) {
        buffer_printf(out, "<td>%.3f</td>", number(answer, "answer"));
    } else if (is_type(report, "classification")) {
        cell(out, string_of(answer, "answer"));
    } else {
        buffer_append_text(out, "<td>");
        shown(out, string_of(answer, "answer"));
        buffer_printf(out, " first; what matters at place %.0f</td>",
                      json_number_value(json_array_get(json_array_get(hits, 0), 0)));
    }
}

static void case_row(const json_t *report, const json_t *one, const json_t *before,
                     struct buffer *out)
{
    buffer_append_text(out, "<tr>");
    cell(out, string_of(one, "id"));
    buffer_printf(out, "<td class=\"n\">%.0f</td><td>", number(one, "line"));
    shown(out, string_of(one, "text"));
    if (json_object_get(one, "other") != NULL) {
        buffer_append_text(out, "<br>");
        shown(out, string_of(one, "other"));
    }
    buffer_append_text(out, "</td>");
    if (is_type(report, "similarity"))
        buffer_printf(out, "<td>%.4g</td>", number(one, "truth"));
    if (is_type(report, "classification"))
        cell(out, string_of(one, "truth"));
    if (before != NULL)
        answer_cell(report, before, out);
    answer_cell(report, one, out);
    buffer_append_text(out, "</tr>\n");
}

static void case_heads(const json_t *report, bool has_before, struct buffer *out)
{
    const char *names[7] = {"case", "#line", "text"};
    size_t count = 3;
    if (!is_type(report, "retrieval"))
        names[count++] = "truth";
    if (has_before)
        names[count++] = "baseline";
    names[count] = "answer";
    heads(out, names);
}

static void write_changes(const json_t *report, struct buffer *out)
{
    const json_t *changes = json_object_get(report, "changes"), *one;
    const json_t *listed = json_object_get(changes, "worse_cases");
    size_t place;
    if (!json_is_object(changes))
        return;
    buffer_printf(out,
                  "<h2>Right before, wrong now</h2>\n<p>%.0f cases; %.0f were wrong before and are "
                  "right now.</p>\n",
                  number(changes, "worse"), number(changes, "better"));
    if (json_array_size(listed) == 0)
        return;
    case_heads(report, true, out);
    json_array_foreach(listed, place, one)
        case_row(report, one, json_object_get(one, "baseline"), out);
    table_end(out);
}

static void write_wrong(const json_t *report, struct buffer *out)
{
    const json_t *cases = json_object_get(report, "cases"), *one;
    size_t place, wrong = 0;
    json_array_foreach(cases, place, one) wrong += json_is_false(json_object_get(one, "right"));
    buffer_printf(out, "<h2>Wrong answers</h2>\n<p>%zu of %zu%s.</p>\n", wrong,
                  json_array_size(cases), wrong > PAGE_WRONG_MAX ? "; the first are shown" : "");
    if (wrong == 0)
        return;
    case_heads(report, false, out);
    wrong = 0;
    json_array_foreach(cases, place, one)
    {
        if (json_is_false(json_object_get(one, "right")) && wrong++ < PAGE_WRONG_MAX)
            case_row(report, one, NULL, out);
    }
    table_end(out);
}

static void write_method(const json_t *report, struct buffer *out)
{
    const json_t *confidence = json_object_get(report, "confidence");
    buffer_printf(out, "<h2>Method</h2>\n<p class=\"soft\">Intervals: %.0f %%, ",
                  100 * number(confidence, "level"));
    markup_text(out, string_of(confidence, "method"));
    buffer_printf(out,
                  ", %.0f resamples; with a baseline both models are scored on the same "
                  "resamples. Cases: ",
                  number(confidence, "resamples"));
    markup_text(out, string_of(json_object_get(report, "suite"), "digest"));
    buffer_append_text(out, ".</p>\n");
}

void page_write(const json_t *report, struct buffer *out)
{
    buffer_append_text(out, head);
    buffer_append_text(out, "<title>");
    markup_text(out, string_of(json_object_get(report, "suite"), "name"));
    buffer_append_text(out, ": ");
    markup_text(out, string_of(report, "model"));
    buffer_append_text(out, "</title>\n");
    buffer_append_text(out, style);
    buffer_append_text(out, "</head><body>\n");
    write_title(report, out);
    write_regressions(report, out);
    write_metrics(report, out);
    write_plot(report, out);
    write_changes(report, out);
    write_wrong(report, out);
    write_method(report, out);
    buffer_append_text(out, "</body></html>\n");
}
