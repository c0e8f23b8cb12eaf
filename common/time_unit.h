/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time_unit: how many of one unit of time are in another. Code that must not read a clock includes
 * this, not clock.h.
 */
#ifndef ARGOSY_COMMON_TIME_UNIT_H
#define ARGOSY_COMMON_TIME_UNIT_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)

#endif
