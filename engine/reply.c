/* SPDX-License-Identifier: Apache-2.0 */
/* reply: answers to requests, in the outbox. See core_state.h. */
#include <stdarg.h>
#include <stdio.h>

#include "api/codec.h"
#include "common/assert.h"
#include "engine/core_state.h"

void reply_send_to(struct core *core, const struct pending_key *to, bool more, bool early,
                   const void *body)
{
    outbox_reply(core->outbox, &(struct outbox_reply){.session = to->session,
                                                      .correlation = to->correlation,
                                                      .more = more,
                                                      .early = early,
                                                      .body = body});
}

void reply_send(struct core *core, const struct core_request *request, const void *body)
{
    reply_send_to(core, &(struct pending_key){request->session, request->correlation}, false, false,
                  body);
}

static void send_error(struct core *core, const struct pending_key *to, int code,
                       const char *detail_type, const ProtobufCMessage *detail, const char *text)
{
    struct arena *arena = &core->outbox->arena;
    Api__ErrorReply *error = message_new(arena, &api__error_reply__descriptor);
    error->message = text_copy_valid(arena, text);
    if (detail != NULL) {
        struct buffer bytes = {0};
        int rc = codec_encode(detail, &bytes, NULL);
        ASSERT(rc == 0);
        error->detail_type = detail_type;
        error->has_detail = true;
        error->detail.len = bytes.size;
        error->detail.data = memory_copy(arena, bytes.data, bytes.size);
        buffer_fini(&bytes);
    }
    outbox_reply(core->outbox, &(struct outbox_reply){.session = to->session,
                                                      .correlation = to->correlation,
                                                      .grpc_status = error_grpc_status(code),
                                                      .body = &error->base});
}

void reply_error_to(struct core *core, const struct pending_key *to, int code, const char *text)
{
    send_error(core, to, code, NULL, NULL, text);
}

void reply_error(struct core *core, const struct core_request *request, int code,
                 const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    reply_error_to(core, &(struct pending_key){request->session, request->correlation}, code, text);
}

void reply_error_detail(struct core *core, const struct core_request *request, int code,
                        const char *detail_type, const void *detail, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    send_error(core, &(struct pending_key){request->session, request->correlation}, code,
               detail_type, detail, text);
}
