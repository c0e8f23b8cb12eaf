/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: what a worker has to say that no caller is told: the lines of workflow code
 * (argosy_workflow_log), and trouble. The worker's options say where it goes.
 */
#ifndef ARGOSY_LOG_H
#define ARGOSY_LOG_H

enum argosy_log_level {
    ARGOSY_LOG_INFO = 0, /* logged by workflow code */
    ARGOSY_LOG_WARN = 1, /* something went wrong */
};

/* One line; all of it is borrowed for the call. */
struct argosy_log_record {
    enum argosy_log_level level;
    const char *text;
    /* The run it is about; all NULL when it is about none. */
    const char *workflow_type;
    const char *workflow_id;
    const char *run_id;
};

/* Called from any of the worker's threads; it must not call the library. */
typedef void argosy_log_function(void *user_data, const struct argosy_log_record *record);

#endif
