/* SPDX-License-Identifier: Apache-2.0 */
/* connection_reply: what a reply says, decoded when asked for; see connection.h. */
#include <string.h>

#include "api/codec.h"
#include "queues/connection.h"

int connection_reply_decode(const struct connection_reply *reply, struct arena *arena,
                            ProtobufCMessage **ret_message, struct error *err)
{
    if (reply->status == 0)
        return codec_decode(reply->method->response, reply->body, reply->body_size, arena,
                            ret_message, err);
    int code = error_from_grpc_status(reply->status);
    ProtobufCMessage *body;
    if (codec_decode(&api__error_reply__descriptor, reply->body, reply->body_size, arena, &body,
                     NULL) == 0) {
        const Api__ErrorReply *error = (const Api__ErrorReply *)body;
        if (error->message != NULL)
            return error_set(err, code, "%s", error->message);
    }
    return error_set(err, code, "%s: %s", reply->method->name, error_text(code));
}

static const ProtobufCMessageDescriptor *find_detail(const char *name)
{
    static const ProtobufCMessageDescriptor *const details[] = {
        &api__not_found_failure__descriptor,
        &api__workflow_execution_already_started_failure__descriptor,
        &api__namespace_not_found_failure__descriptor,
        &api__query_failed_failure__descriptor,
        &api__cancellation_already_requested_failure__descriptor,
        &api__permission_denied_failure__descriptor,
        &api__resource_exhausted_failure__descriptor,
        &api__workflow_not_ready_failure__descriptor,
    };
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        if (strcmp(details[i]->short_name, name) == 0)
            return details[i];
    }
    return NULL;
}

ProtobufCMessage *connection_reply_detail(const struct connection_reply *reply,
                                          const ProtobufCMessageDescriptor *descriptor,
                                          struct arena *arena)
{
    ProtobufCMessage *body;
    if (reply->status == 0 || codec_decode(&api__error_reply__descriptor, reply->body,
                                           reply->body_size, arena, &body, NULL) != 0)
        return NULL;
    const Api__ErrorReply *error = (const Api__ErrorReply *)body;
    const ProtobufCMessageDescriptor *known =
        error->detail_type != NULL ? find_detail(error->detail_type) : NULL;
    ProtobufCMessage *detail;
    if (known == NULL || (descriptor != NULL && descriptor != known) ||
        codec_decode(known, error->detail.data, error->detail.len, arena, &detail, NULL) != 0)
        return NULL;
    return detail;
}
