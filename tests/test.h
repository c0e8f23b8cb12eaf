/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test: what every test program includes: cmocka, which needs four headers before its own.
 */
#ifndef ARGOSY_TESTS_TEST_H
#define ARGOSY_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
