/* SPDX-License-Identifier: Apache-2.0 */
/* dataset_report: what was found in a dataset, for programs and for people; see dataset.h. */
#include <inttypes.h>

#include "workflows/finetune/dataset.h"

static const char *const kind_names[] = {
#define DATASET_NAME(kind, name, severity) [DATASET_##kind] = name,
    DATASET_PROBLEMS(DATASET_NAME)
#undef DATASET_NAME
};

static const char *const severity_names[] = {
    [DATASET_ERROR] = "error", [DATASET_WARNING] = "warning"};

static json_t *files_json(const struct dataset_report *report)
{
    json_t *files = json_array();
    for (uint32_t i = 0; i < report->file_count; i++)
        json_array_append_new(files, json_pack("{s:s, s:I}", "name", report->files[i].name,
                                               "examples", (json_int_t)report->files[i].examples));
    return files;
}

static json_t *labels_json(const struct dataset_report *report)
{
    json_t *labels = json_array();
    for (uint32_t i = 0; i < report->label_count; i++) {
        const struct dataset_label *label = &report->labels[i];
        json_t *row =
            json_pack("{s:s, s:I, s:I}", "label", label->name, "examples",
                      (json_int_t)label->examples[0], "distinct", (json_int_t)label->distinct);
        if (report->file_count == 2)
            json_object_set_new(row, "held_out", json_integer((json_int_t)label->examples[1]));
        json_array_append_new(labels, row);
    }
    return labels;
}

static json_t *problems_json(const struct dataset_report *report)
{
    json_t *problems = json_array();
    for (int severity = 0; severity < 2; severity++) {
        for (uint32_t i = 0; i < report->problem_counts[severity]; i++) {
            const struct dataset_problem *problem = &report->problems[severity][i];
            json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "severity", severity_names[severity],
                                    "kind", kind_names[problem->kind], "file",
                                    report->files[problem->source].name, "message", problem->text);
            if (problem->line > 0)
                json_object_set_new(row, "line", json_integer((json_int_t)problem->line));
            json_array_append_new(problems, row);
        }
    }
    return problems;
}

static json_t *counts_json(const struct dataset_report *report)
{
    json_t *counts = json_object();
    for (int kind = 0; kind < DATASET_PROBLEM_KINDS; kind++) {
        if (report->counts[kind] > 0)
            json_object_set_new(counts, kind_names[kind],
                                json_integer((json_int_t)report->counts[kind]));
    }
    return counts;
}

json_t *dataset_report_json(const struct dataset_report *report)
{
    return json_pack(
        "{s:b, s:I, s:I, s:o, s:o, s:o, s:o}", "fit", report->totals[DATASET_ERROR] == 0, "errors",
        (json_int_t)report->totals[DATASET_ERROR], "warnings",
        (json_int_t)report->totals[DATASET_WARNING], "files", files_json(report), "labels",
        labels_json(report), "counts", counts_json(report), "problems", problems_json(report));
}

void dataset_report_text(const struct dataset_report *report, struct buffer *out)
{
    for (int severity = 0; severity < 2; severity++) {
        for (uint32_t i = 0; i < report->problem_counts[severity]; i++) {
            const struct dataset_problem *problem = &report->problems[severity][i];
            buffer_append_text(out, report->files[problem->source].name);
            if (problem->line > 0)
                buffer_printf(out, ":%" PRIu64, problem->line);
            buffer_printf(out, ": %s: %s\n", severity_names[severity], problem->text);
        }
        uint64_t unlisted = report->totals[severity] - report->problem_counts[severity];
        if (unlisted > 0)
            buffer_printf(out, "and %" PRIu64 " more %ss\n", unlisted, severity_names[severity]);
    }
}
