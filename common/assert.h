/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert: states what must never happen. On in every build type.
 *
 * Only for mistakes of the program itself: input from outside is checked and gets an error, it
 * never asserts. A failed assertion prints one line to standard error and aborts, so that the core
 * dump shows the place.
 */
#ifndef ARGOSY_COMMON_ASSERT_H
#define ARGOSY_COMMON_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            fprintf(stderr, "event=assertion.failed file=%s line=%d condition=\"%s\"\n", __FILE__, \
                    __LINE__, #condition);                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define UNREACHABLE()                                                                              \
    do {                                                                                           \
        fprintf(stderr, "event=assertion.failed file=%s line=%d condition=unreachable\n",          \
                __FILE__, __LINE__);                                                               \
        abort();                                                                                   \
    } while (0)

#endif
