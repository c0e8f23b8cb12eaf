/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages: every struct of the schema, in one include.
 *
 * A message `Foo` of api/proto/ is the C struct `Api__Foo`, initialised by
 * `api__foo__init(&foo)` or `= API__FOO__INIT`, described by `api__foo__descriptor`. Enum values
 * keep their schema names (api/enums.h). Optional scalars have a `has_` flag; an absent one reads
 * as 0, which is what Temporal's proto3 schema means by it.
 */
#ifndef ARGOSY_API_MESSAGES_H
#define ARGOSY_API_MESSAGES_H

#include "api/enums.h"
#include "api/proto/command.pb-c.h"
#include "api/proto/common.pb-c.h"
#include "api/proto/error_detail.pb-c.h"
#include "api/proto/failure.pb-c.h"
#include "api/proto/fleet.pb-c.h"
#include "api/proto/history.pb-c.h"
#include "api/proto/query.pb-c.h"
#include "api/proto/service.pb-c.h"
#include "api/proto/session.pb-c.h"
#include "api/proto/storage.pb-c.h"
#include "api/proto/task_queue.pb-c.h"
#include "api/proto/test_service.pb-c.h"
#include "api/proto/vectors.pb-c.h"
#include "api/proto/workflow.pb-c.h"

#endif
