/* SPDX-License-Identifier: Apache-2.0 */
/* failure: see failure.h. */
#include "engine/failure.h"

#include <math.h>
#include <string.h>

#include "common/time_unit.h"

#define DEFAULT_INITIAL_US   US_PER_S
#define DEFAULT_COEFFICIENT  2.0
#define DEFAULT_MAXIMUM_RATE 100 /* maximum interval, as a multiple of the initial one */

/* Room that a cut failure leaves for its message and stack trace. */
#define CUT_TEXT_SIZE 1000

Api__Failure *failure_server(struct arena *arena, const char *message, bool non_retryable)
{
    Api__Failure *failure = message_new(arena, &api__failure__descriptor);
    failure->message = message;
    failure->source = "Server";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO;
    failure->server_failure_info = message_new(arena, &api__server_failure_info__descriptor);
    failure->server_failure_info->has_non_retryable = true;
    failure->server_failure_info->non_retryable = non_retryable;
    return failure;
}

Api__Failure *failure_application(struct arena *arena, const char *message, const char *type)
{
    Api__Failure *failure = message_new(arena, &api__failure__descriptor);
    failure->message = message;
    failure->source = "Server";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info =
        message_new(arena, &api__application_failure_info__descriptor);
    failure->application_failure_info->type = type;
    return failure;
}

static const char *timeout_name(Api__TimeoutType type)
{
    switch (type) {
    case TIMEOUT_TYPE_START_TO_CLOSE:
        return "StartToClose";
    case TIMEOUT_TYPE_SCHEDULE_TO_START:
        return "ScheduleToStart";
    case TIMEOUT_TYPE_SCHEDULE_TO_CLOSE:
        return "ScheduleToClose";
    default:
        return "Heartbeat";
    }
}

Api__Failure *failure_timeout(struct arena *arena, Api__TimeoutType type,
                              const Api__Payloads *last_heartbeat_details)
{
    Api__Failure *failure = message_new(arena, &api__failure__descriptor);
    failure->message = text_format(arena, "activity %s timeout", timeout_name(type));
    failure->source = "Server";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure->timeout_failure_info = message_new(arena, &api__timeout_failure_info__descriptor);
    failure->timeout_failure_info->has_timeout_type = true;
    failure->timeout_failure_info->timeout_type = type;
    failure->timeout_failure_info->last_heartbeat_details =
        message_copy(arena, last_heartbeat_details);
    return failure;
}

static const char *cut_text(const char *text, struct arena *arena)
{
    if (text == NULL || strlen(text) <= CUT_TEXT_SIZE)
        return text;
    size_t length = CUT_TEXT_SIZE;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--; /* not inside a character */
    return text_format(arena, "%.*s", (int)length, text);
}

const Api__Failure *failure_cut(const Api__Failure *failure, struct arena *arena)
{
    if (protobuf_c_message_get_packed_size(&failure->base) <= FAILURE_STORED_SIZE)
        return failure;
    Api__Failure *cut = message_new(arena, &api__failure__descriptor);
    cut->message = cut_text(failure->message, arena);
    cut->source = cut_text(failure->source, arena);
    cut->stack_trace = cut_text(failure->stack_trace, arena);
    if (failure->failure_info_case == API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO) {
        const Api__ApplicationFailureInfo *info = failure->application_failure_info;
        cut->failure_info_case = failure->failure_info_case;
        cut->application_failure_info =
            message_new(arena, &api__application_failure_info__descriptor);
        cut->application_failure_info->type = cut_text(info->type, arena);
        cut->application_failure_info->has_non_retryable = info->has_non_retryable;
        cut->application_failure_info->non_retryable = info->non_retryable;
    }
    return cut;
}

/* --- retrying ----------------------------------------------------------------------------------
 */

static bool is_listed(const struct retry_policy *policy, const char *type)
{
    for (size_t i = 0; i < policy->non_retryable_type_count; i++) {
        if (strcmp(policy->non_retryable_types[i], type) == 0)
            return true;
    }
    return false;
}

static bool is_retryable(const struct retry_policy *policy, const Api__Failure *failure)
{
    switch (failure->failure_info_case) {
    case API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO:
    case API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO:
        return false;
    case API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO:
        switch (failure->timeout_failure_info->timeout_type) {
        case TIMEOUT_TYPE_START_TO_CLOSE:
            return !is_listed(policy, "TemporalTimeout:StartToClose");
        case TIMEOUT_TYPE_HEARTBEAT:
            return !is_listed(policy, "TemporalTimeout:Heartbeat");
        default:
            return false;
        }
    case API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO:
        return !failure->server_failure_info->non_retryable;
    case API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO:
        return !failure->application_failure_info->non_retryable &&
               !is_listed(policy, text_or_empty(failure->application_failure_info->type));
    default:
        return true;
    }
}

static int64_t backoff(const struct retry_policy *policy, int32_t attempt)
{
    double interval_us = (double)policy->initial_interval_us *
                         pow(policy->backoff_coefficient, (double)(attempt - 1));
    /* Not finite, not positive or too large: the maximum. */
    if (!(interval_us > 0.0 && interval_us < (double)policy->maximum_interval_us))
        return policy->maximum_interval_us;
    return (int64_t)interval_us;
}

Api__RetryState retry_decide(const struct retry_question *question, int64_t *ret_due_us)
{
    const struct retry_policy *policy = question->policy;
    const Api__Failure *failure = question->failure;
    if (!is_retryable(policy, failure))
        return RETRY_STATE_NON_RETRYABLE_FAILURE;
    if (policy->maximum_attempts > 0 && question->attempt >= policy->maximum_attempts)
        return RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED;
    int64_t delay_us = backoff(policy, question->attempt);
    if (failure->failure_info_case == API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO &&
        failure->application_failure_info->next_retry_delay != NULL)
        delay_us = duration_us(failure->application_failure_info->next_retry_delay);
    if (question->now_us + delay_us > question->expiration_us)
        return RETRY_STATE_TIMEOUT;
    *ret_due_us = question->now_us + delay_us;
    return RETRY_STATE_IN_PROGRESS;
}

int retry_policy_fill(const Api__RetryPolicy *policy, struct arena *arena,
                      Api__RetryPolicy **ret_policy, struct error *err)
{
    Api__RetryPolicy *filled = policy != NULL ? message_copy(arena, policy)
                                              : message_new(arena, &api__retry_policy__descriptor);
    if (duration_us(filled->initial_interval) == 0)
        filled->initial_interval = duration_new(arena, DEFAULT_INITIAL_US);
    if (filled->backoff_coefficient == 0.0)
        filled->backoff_coefficient = DEFAULT_COEFFICIENT;
    filled->has_backoff_coefficient = true;
    int64_t initial_us = duration_us(filled->initial_interval);
    if (duration_us(filled->maximum_interval) == 0) {
        int64_t maximum_us = initial_us > DURATION_US_MAX / DEFAULT_MAXIMUM_RATE
                                 ? DURATION_US_MAX
                                 : initial_us * DEFAULT_MAXIMUM_RATE;
        filled->maximum_interval = duration_new(arena, maximum_us);
    }
    filled->has_maximum_attempts = true;
    /* The comparison is written so that NaN fails it. */
    if (!(filled->backoff_coefficient >= 1.0) || !isfinite(filled->backoff_coefficient))
        return error_set(err, ERR_INVALID, "backoff coefficient is below 1");
    if (duration_us(filled->maximum_interval) < initial_us)
        return error_set(err, ERR_INVALID, "maximum interval is below the initial interval");
    if (filled->maximum_attempts < 0)
        return error_set(err, ERR_INVALID, "maximum attempts is negative");
    *ret_policy = filled;
    return 0;
}
