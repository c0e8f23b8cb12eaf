/* SPDX-License-Identifier: Apache-2.0 */
/* timer: workflow timers (docs/spec/02-history.md, section 2). */
#ifndef ARGOSY_ENGINE_TIMER_H
#define ARGOSY_ENGINE_TIMER_H

#include "engine/core_state.h"

/* Arms its deadline. */
void timer_arm(struct core *core, struct timer *timer);

/* It fires. */
void timer_due(struct core *core, struct timer *timer);

#endif
