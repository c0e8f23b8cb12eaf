/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_wire_example: the worked example of docs/spec/01-wire.md is what the code sends: each block
 * "```frame NAME" of the page, read as hex up to "#", against the same frame made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/messages.h"
#include "api/method.h"
#include "queues/envelope.h"

/* The bytes of the page's block of this name. */
static struct buffer read_block(const char *name)
{
    char path[1024];
    char line[256];
    char head[64];
    const char *source_dir = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/docs/spec/01-wire.md", source_dir != NULL ? source_dir : ".");
    snprintf(head, sizeof head, "```frame %s\n", name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    struct buffer bytes = {0};
    bool inside = false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (!inside || strcmp(line, "```\n") == 0) {
            inside = !inside && strcmp(line, head) == 0;
            continue;
        }
        char *at = line;
        at[strcspn(at, "#")] = '\0';
        for (char *end; *at != '\0' && *at != '\n'; at = end + strspn(end, " "))
            buffer_append_byte(&bytes, (uint8_t)strtoul(at, &end, 16));
    }
    fclose(file);
    assert_true(bytes.size > 0);
    return bytes;
}

static void add(struct buffer *frame, const struct envelope *envelope,
                const ProtobufCMessage *message)
{
    assert_int_equal(envelope_append_message(frame, envelope, message, NULL), 0);
}

static void expect_block(const char *name, struct buffer *frame)
{
    struct buffer block = read_block(name);
    assert_int_equal(frame->size, block.size);
    assert_memory_equal(frame->data, block.data, block.size);
    buffer_fini(&block);
    buffer_fini(frame);
}

static void test_hello(void **state)
{
    (void)state;
    struct buffer frame = {0};
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.has_protocol_version = 1;
    hello.protocol_version = WIRE_VERSION;
    hello.identity = "7@n1#cpu";
    hello.instance_id = "i-1";
    hello.node = "n1";
    hello.has_pid = 1;
    hello.pid = 7;
    add(&frame,
        &(struct envelope){.kind = ENVELOPE_REQUEST, .correlation_id = 1, .method = METHOD_HELLO},
        &hello.base);
    expect_block("hello", &frame);
    Api__HelloResponse response = API__HELLO_RESPONSE__INIT;
    response.has_protocol_version = 1;
    response.protocol_version = WIRE_VERSION;
    response.engine_instance_id = "e-1";
    response.has_lease_ms = 1;
    response.lease_ms = 10000;
    add(&frame, &(struct envelope){.kind = ENVELOPE_REPLY, .correlation_id = 1}, &response.base);
    expect_block("hello-reply", &frame);
}

static void test_poll(void **state)
{
    (void)state;
    struct buffer frame = {0};
    const char *types[] = {"preprocess"};
    Api__TaskQueue queue = API__TASK_QUEUE__INIT;
    queue.name = "cpu-queue";
    Api__PollActivityTaskQueueRequest poll = API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue = &queue;
    poll.n_registered_types = 1;
    poll.registered_types = types;
    poll.has_slots = 1;
    poll.slots = 16;
    add(&frame,
        &(struct envelope){.kind = ENVELOPE_REQUEST,
                           .correlation_id = 2,
                           .method = METHOD_POLL_ACTIVITY_TASK_QUEUE},
        &poll.base);
    Api__PingRequest ping = API__PING_REQUEST__INIT;
    add(&frame,
        &(struct envelope){.kind = ENVELOPE_REQUEST,
                           .correlation_id = 3,
                           .method = METHOD_PING,
                           .timeout_ms = 1000},
        &ping.base);
    expect_block("poll-and-ping", &frame);
    uint8_t token[] = {0xde, 0xad};
    Api__ActivityType type = API__ACTIVITY_TYPE__INIT;
    type.name = "preprocess";
    Api__PollActivityTaskQueueResponse task = API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    task.has_task_token = 1;
    task.task_token = (ProtobufCBinaryData){.len = sizeof token, .data = token};
    task.activity_type = &type;
    task.activity_id = "5";
    task.has_attempt = 1;
    task.attempt = 1;
    add(&frame,
        &(struct envelope){.kind = ENVELOPE_REPLY, .correlation_id = 2, .flags = ENVELOPE_MORE},
        &task.base);
    expect_block("task", &frame);
}

static void test_no_session(void **state)
{
    (void)state;
    struct buffer frame = {0};
    Api__ErrorReply error = API__ERROR_REPLY__INIT;
    error.message = "no session: say Hello first";
    add(&frame,
        &(struct envelope){
            .kind = ENVELOPE_REPLY, .correlation_id = 3, .status = 9, .flags = ENVELOPE_NO_SESSION},
        &error.base);
    expect_block("no-session", &frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_no_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
