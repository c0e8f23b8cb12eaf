/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_scrub: takes out of texts what a bug report must not tell: values of environment
 * variables, and what workflows, activities and plug-ins have written into the log by themselves,
 * which may be anybody's data.
 *
 * A value of REPORT_SECRET_MIN bytes or more is replaced by its variable's name, ${NAME}, wherever
 * it stands; shorter ones would be found in every text. Variables that only tell where things are
 * (PATH, HOME, LANG ...) are left alone.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_REPORT_SCRUB_H
#define ARGOSY_CLI_REPORT_SCRUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/fleet_config.h"

#define REPORT_SECRET_MIN 6

struct report_secret {
    char *name;
    char *value;
};

/* A scrub of zeros knows no secret. */
struct report_scrub {
    struct report_secret *secrets;
    size_t count;
};

void report_scrub_fini(struct report_scrub *scrub);

/* Learns a variable; each line of its value, and how JSON writes it. False when memory is out. */
bool report_scrub_learn(struct report_scrub *scrub, const char *name, const char *value);

/* Learns the environments of a config's groups, and takes their values out of it. */
bool report_scrub_config(struct report_scrub *scrub, struct fleet_config *config);

/* Learns "NAME=value" after "NAME=value", each with its NUL, as /proc/PID/environ has them. */
bool report_scrub_environment(struct report_scrub *scrub, const char *entries, size_t size);

/* Appends text with the secrets replaced. */
void report_scrub_text(const struct report_scrub *scrub, const char *text, size_t size,
                       struct buffer *out);

/* Appends the lines of a log that the fleet itself wrote, without what workflow code had it say;
 * the others are counted. with_output: all as they are. */
void report_scrub_lines(const char *text, size_t size, bool with_output, struct buffer *out);

/* Removes what tells of payloads from a fleet's status. */
void report_scrub_status(json_t *status);

#endif
