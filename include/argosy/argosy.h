/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy: the whole public interface in one include. Start with workflow.h and activity.h for
 * what runs, client.h for who asks, worker.h or plugin.h for where it runs.
 */
#ifndef ARGOSY_ARGOSY_H
#define ARGOSY_ARGOSY_H

#include <argosy/activity.h>
#include <argosy/arena.h>
#include <argosy/client.h>
#include <argosy/codec.h>
#include <argosy/connection.h>
#include <argosy/error.h>
#include <argosy/factory.h>
#include <argosy/failure.h>
#include <argosy/log.h>
#include <argosy/payload.h>
#include <argosy/plugin.h>
#include <argosy/registry.h>
#include <argosy/replay.h>
#include <argosy/retry_policy.h>
#include <argosy/test_env.h>
#include <argosy/worker.h>
#include <argosy/workflow.h>

#endif
