/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: what workflow code asked of the engine and its history has not yet shown.
 *
 * Code makes commands in order; history shows each as an event, in the same order. A command is
 * made and matched the same way live and on replay; its message is built only live, in the memory
 * of the workflow task that will carry it. Each kind has one file: activity_command.c,
 * timer_command.c, close_command.c.
 */
#ifndef ARGOSY_SDK_COMMAND_H
#define ARGOSY_SDK_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "api/messages.h"

/* Room for what a command or event says of itself in an error. */
#define COMMAND_TEXT_MAX 160

struct argosy_workflow;
struct command;

struct command_ops {
    const char *name;          /* "ScheduleActivityTask" */
    Api__EventType event_type; /* what history shows for it */
    /* Whether event, which is of event_type, is this command's. */
    bool (*matches)(const struct command *command, const Api__HistoryEvent *event);
    /* "activity \"1\" of type \"embed\"": the identity that matches() compares. */
    void (*describe)(const struct command *command, char text[COMMAND_TEXT_MAX]);
    /* History has it as event: the owner's state moves on. */
    void (*record)(struct command *command, const Api__HistoryEvent *event);
};

struct command {
    const struct command_ops *ops;
    void *owner;           /* future, or the run itself for close commands */
    Api__Command *message; /* lives in the workflow task's memory; NULL on replay */
    struct command *prev;
    struct command *next;
};

#endif
