/* SPDX-License-Identifier: Apache-2.0 */
/* failure: see failure.h and include/argosy/failure.h. */
#include "sdk/failure.h"

#include <stdio.h>
#include <string.h>

#include "api/codec.h"
#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/duration.h"
#include "sdk/error.h"
#include "sdk/payload.h"

#define FAILURE_SOURCE "ArgosyC"

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* ---- making ---- */

static Api__Failure *application_failure(const struct argosy_failure_options *options,
                                         struct arena *arena)
{
    Api__Failure *failure = arena_alloc(arena, sizeof *failure);
    Api__ApplicationFailureInfo *info = arena_alloc(arena, sizeof *info);
    if (failure == NULL || info == NULL)
        return NULL;
    api__application_failure_info__init(info);
    info->type = arena_strdup(arena, text_or_empty(options->type));
    info->has_non_retryable = options->non_retryable;
    info->non_retryable = options->non_retryable;
    struct argosy_payloads details;
    if (!payloads_copy(options->details, arena, &details))
        return NULL;
    if (details.count > 0 && (info->details = payloads_message(details, arena)) == NULL)
        return NULL;
    if (options->next_retry_delay_ms > 0 &&
        (info->next_retry_delay = duration_create(options->next_retry_delay_ms, arena)) == NULL)
        return NULL;
    api__failure__init(failure);
    failure->message = arena_strdup(arena, text_or_empty(options->message));
    failure->source = FAILURE_SOURCE;
    failure->cause = (Api__Failure *)failure_message(options->cause);
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info = info;
    return failure->message == NULL || info->type == NULL ? NULL : failure;
}

int argosy_failure_raise(struct argosy_arena *arena, const struct argosy_failure_options *options,
                         struct argosy_error *err)
{
    Api__Failure *failure = application_failure(options, &arena->arena);
    if (failure == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    argosy_error_set(err, ARGOSY_ERR_FAILED, "%s", failure->message);
    if (err != NULL)
        err->failure = failure_public(failure);
    return ARGOSY_ERR_FAILED;
}

Api__Failure *failure_of_error(const struct argosy_error *err, struct arena *arena)
{
    if (err->failure != NULL)
        return (Api__Failure *)failure_message(err->failure);
    return application_failure(
        &(struct argosy_failure_options){.type = error_name(err->code), .message = err->text},
        arena);
}

Api__Failure *failure_canceled(const char *message, struct arena *arena)
{
    Api__Failure *failure = arena_alloc(arena, sizeof *failure);
    Api__CanceledFailureInfo *info = arena_alloc(arena, sizeof *info);
    if (failure == NULL || info == NULL)
        return NULL;
    api__canceled_failure_info__init(info);
    api__failure__init(failure);
    failure->message = message;
    failure->source = FAILURE_SOURCE;
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
    failure->canceled_failure_info = info;
    return failure;
}

Api__Failure *failure_copy(const Api__Failure *failure, struct arena *arena)
{
    return (Api__Failure *)codec_copy(&failure->base, arena);
}

int failure_raise(int code, const Api__Failure *failure, struct argosy_error *err)
{
    const struct argosy_failure *root = argosy_failure_root(failure_public(failure));
    argosy_error_set(err, code, "%s", argosy_failure_message(root));
    if (err != NULL)
        err->failure = failure_public(failure);
    return code;
}

/* ---- reading ---- */

enum argosy_failure_kind argosy_failure_kind(const struct argosy_failure *failure)
{
    switch (failure_message(failure)->failure_info_case) {
    case API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        return ARGOSY_FAILURE_APPLICATION;
    case API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        return ARGOSY_FAILURE_TIMEOUT;
    case API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        return ARGOSY_FAILURE_CANCELED;
    case API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO:
        return ARGOSY_FAILURE_TERMINATED;
    case API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO:
        return ARGOSY_FAILURE_SERVER;
    case API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO:
        return ARGOSY_FAILURE_ACTIVITY;
    default:
        return ARGOSY_FAILURE_OTHER;
    }
}

static const Api__ApplicationFailureInfo *application_info(const struct argosy_failure *failure)
{
    const Api__Failure *message = failure_message(failure);
    return argosy_failure_kind(failure) == ARGOSY_FAILURE_APPLICATION
               ? message->application_failure_info
               : NULL;
}

static const Api__ActivityFailureInfo *activity_info(const struct argosy_failure *failure)
{
    const Api__Failure *message = failure_message(failure);
    return argosy_failure_kind(failure) == ARGOSY_FAILURE_ACTIVITY ? message->activity_failure_info
                                                                   : NULL;
}

const char *argosy_failure_message(const struct argosy_failure *failure)
{
    return text_or_empty(failure_message(failure)->message);
}

const char *argosy_failure_type(const struct argosy_failure *failure)
{
    const Api__ApplicationFailureInfo *info = application_info(failure);
    return text_or_empty(info == NULL ? NULL : info->type);
}

bool argosy_failure_is_non_retryable(const struct argosy_failure *failure)
{
    const Api__ApplicationFailureInfo *info = application_info(failure);
    return info != NULL && info->non_retryable;
}

const struct argosy_failure *argosy_failure_cause(const struct argosy_failure *failure)
{
    return failure_public(failure_message(failure)->cause);
}

const struct argosy_failure *argosy_failure_root(const struct argosy_failure *failure)
{
    while (argosy_failure_cause(failure) != NULL)
        failure = argosy_failure_cause(failure);
    return failure;
}

const char *argosy_failure_activity_type(const struct argosy_failure *failure)
{
    const Api__ActivityFailureInfo *info = activity_info(failure);
    return text_or_empty(info == NULL || info->activity_type == NULL ? NULL
                                                                     : info->activity_type->name);
}

const char *argosy_failure_activity_id(const struct argosy_failure *failure)
{
    const Api__ActivityFailureInfo *info = activity_info(failure);
    return text_or_empty(info == NULL ? NULL : info->activity_id);
}

enum argosy_retry_state argosy_failure_retry_state(const struct argosy_failure *failure)
{
    const Api__ActivityFailureInfo *info = activity_info(failure);
    return info == NULL ? ARGOSY_RETRY_UNSPECIFIED : (enum argosy_retry_state)info->retry_state;
}

enum argosy_timeout_type argosy_failure_timeout_type(const struct argosy_failure *failure)
{
    if (argosy_failure_kind(failure) != ARGOSY_FAILURE_TIMEOUT)
        return ARGOSY_TIMEOUT_UNSPECIFIED;
    return (enum argosy_timeout_type)failure_message(failure)->timeout_failure_info->timeout_type;
}

struct argosy_payloads argosy_failure_details(const struct argosy_failure *failure,
                                              struct argosy_arena *arena)
{
    const Api__Failure *message = failure_message(failure);
    const Api__Payloads *details = NULL;
    switch (argosy_failure_kind(failure)) {
    case ARGOSY_FAILURE_APPLICATION:
        details = message->application_failure_info->details;
        break;
    case ARGOSY_FAILURE_CANCELED:
        details = message->canceled_failure_info->details;
        break;
    case ARGOSY_FAILURE_TIMEOUT:
        details = message->timeout_failure_info->last_heartbeat_details;
        break;
    default:
        break;
    }
    struct argosy_payloads payloads = {0};
    payloads_view(details, &arena->arena, &payloads);
    return payloads;
}

const char *argosy_failure_text(const struct argosy_failure *failure, struct argosy_arena *arena)
{
    const char *text = argosy_failure_message(failure);
    while ((failure = argosy_failure_cause(failure)) != NULL && text != NULL)
        text = arena_printf(&arena->arena, "%s: %s", text, argosy_failure_message(failure));
    return text;
}
