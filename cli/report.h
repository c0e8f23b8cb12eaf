/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what `argosy fleet report` packs for a bug report: parts of one archive, each scrubbed of
 * secrets, and a list of those that could not be had.
 *
 * Parts are independent: what is not there (an engine that is down, a supervisor that has ended) is
 * written down, and the others follow. Only memory and the archive itself end a report.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_REPORT_H
#define ARGOSY_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cli/report_scrub.h"
#include "cli/tar_file.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/fleet_config.h"

struct report {
    struct tar_file *tar;              /* owned by whoever began it */
    const struct fleet_config *config; /* borrowed; without secrets */
    struct report_scrub scrub;
    bool with_output; /* what is not the fleet's own is shown as it is */
    bool with_cores;
    pid_t supervisor_pid; /* 0: it does not run */
    json_t *contents;     /* [{"file", "bytes"}] */
    json_t *missing;      /* [{"what", "why"}] */
};

/* Adds a file, scrubbed, and empties text. ERR_IO, ERR_MEMORY. */
int report_add(struct report *report, const char *name, struct buffer *text, struct error *err);

/* Notes that a part could not be had. */
void report_miss(struct report *report, const char *what, const char *why);

/* Appends a file, at most REPORT_FILE_MAX of it. False with errno set when it cannot be read. */
#define REPORT_FILE_MAX 1048576
bool report_read(const char *path, struct buffer *out);

/* The parts. The errors are report_add's. */

/* machine.txt: kernel, memory, limits, cgroup. */
int report_machine(struct report *report, struct error *err);

/* config.yaml, plan.txt */
int report_config(struct report *report, struct error *err);

/* log/NAME.txt: the last lines of each process that lives, of which its supervisor is asked.
 * *ret_http is where the node serves HTTP, "" when that is not known. */
int report_log(struct report *report, char ret_http[128], struct error *err);

/* metrics.txt */
int report_metrics(struct report *report, const char *http, struct error *err);

/* crashes/: the dead. */
int report_crashes(struct report *report, struct error *err);

/* The pid of the supervisor of a data folder; 0: none runs. */
pid_t report_supervisor(const char *data_dir);

#endif
