/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_code: what the exit status of Argosy's programs means (docs/spec/05-exit-codes.md).
 *
 * The supervisor reads these from its children; scripts read them from the command line tool.
 * Numbers are never reused. 64 to 78 follow sysexits where one fits.
 */
#ifndef ARGOSY_COMMON_EXIT_CODE_H
#define ARGOSY_COMMON_EXIT_CODE_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,       /* the asked-for work failed (a workflow failed, was terminated ...) */
    EXIT_USAGE = 64,       /* wrong command line */
    EXIT_BAD_INPUT = 65,   /* the input data is malformed */
    EXIT_NOT_FOUND = 66,   /* the named workflow, file or model does not exist */
    EXIT_UNAVAILABLE = 69, /* the engine cannot be reached */
    EXIT_INTERNAL = 70,    /* an error of Argosy's own: restart */
    EXIT_ALREADY_EXISTS = 73,  /* the workflow id is in use */
    EXIT_STORAGE = 74,         /* the store could not be written: restart after a look */
    EXIT_TIMEOUT = 75,         /* it may work later */
    EXIT_BAD_CONFIG = 78,      /* the supervisor does not restart a child that exits with this */
    EXIT_GPU_POISONED = 80,    /* a CUDA context failed: a new process may use the device again */
    EXIT_DEVICE_UNUSABLE = 81, /* no usable device: the supervisor does not restart */
    EXIT_PARENT_DIED = 82,     /* the supervisor is gone */
};

#endif
