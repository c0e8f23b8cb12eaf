/* SPDX-License-Identifier: Apache-2.0 */
/* test_envelope: the promises of queues/envelope.h, against bytes written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/messages.h"
#include "common/limits.h"
#include "queues/envelope.h"

static void assert_frame(const struct buffer *frame, const void *bytes, size_t size)
{
    assert_int_equal(frame->size, size);
    assert_memory_equal(frame->data, bytes, size);
}

static void test_request_by_hand(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x96, 0x01, 0x01, 0xcd, 0x01, 0x00, 0x64,
                                       0xcd, 0x03, 0xe8, 0xc4, 0x02, 'h',  'i'};
    struct buffer frame = {0};
    struct envelope request = {.kind = ENVELOPE_REQUEST,
                               .correlation_id = 256,
                               .method = 100,
                               .timeout_ms = 1000,
                               .body = (const uint8_t *)"hi",
                               .body_size = 2};
    assert_int_equal(envelope_append(&frame, &request, NULL), 0);
    assert_frame(&frame, expected, sizeof expected);
    buffer_fini(&frame);
}

static void test_reply_by_hand(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x96, 0x01, 0x02, 0x07, 0x05, 0x01, 0xc6, 0x00,
                                       0x00, 0x00, 0x05, 0x81, 0x01, 0xa2, 'n',  'o'};
    struct buffer frame = {0};
    Api__ErrorReply body = API__ERROR_REPLY__INIT;
    body.message = "no";
    struct envelope reply = {
        .kind = ENVELOPE_REPLY, .correlation_id = 7, .status = 5, .flags = ENVELOPE_MORE};
    assert_int_equal(envelope_append_message(&frame, &reply, &body.base, NULL), 0);
    assert_frame(&frame, expected, sizeof expected);
    buffer_fini(&frame);
}

static void test_many_in_one_frame(void **state)
{
    (void)state;
    struct buffer frame = {0};
    for (uint32_t i = 0; i < ENVELOPE_COUNT_MAX; i++) {
        struct envelope reply = {.kind = ENVELOPE_REPLY,
                                 .correlation_id = UINT64_MAX - i,
                                 .status = i,
                                 .body = (const uint8_t *)&i,
                                 .body_size = sizeof i};
        assert_int_equal(envelope_append(&frame, &reply, NULL), 0);
    }
    struct envelope_reader reader;
    envelope_reader_init(&reader, frame.data, frame.size);
    struct envelope envelope;
    for (uint32_t i = 0; i < ENVELOPE_COUNT_MAX; i++) {
        assert_int_equal(envelope_next(&reader, &envelope, NULL), 1);
        assert_int_equal(envelope.version, WIRE_VERSION);
        assert_int_equal(envelope.kind, ENVELOPE_REPLY);
        assert_true(envelope.correlation_id == UINT64_MAX - i);
        assert_int_equal(envelope.status, i);
        assert_int_equal(envelope.body_size, sizeof i);
        assert_memory_equal(envelope.body, &i, sizeof i);
    }
    assert_int_equal(envelope_next(&reader, &envelope, NULL), 0);
    buffer_append(&frame, frame.data, 11);
    envelope_reader_init(&reader, frame.data, frame.size);
    int rc;
    while ((rc = envelope_next(&reader, &envelope, NULL)) == 1)
        ;
    assert_int_equal(rc, ERR_PROTOCOL);
    buffer_fini(&frame);
}

static void test_other_version_can_be_answered(void **state)
{
    (void)state;
    /* version 2, a request with correlation id 9, and what we cannot know */
    static const uint8_t frame[] = {0x97, 0x02, 0x01, 0x09, 0xc0, 0xa1, 'x', 0x80, 0xc3, 0xc1};
    struct envelope_reader reader;
    envelope_reader_init(&reader, frame, sizeof frame);
    struct envelope envelope;
    assert_int_equal(envelope_next(&reader, &envelope, NULL), 1);
    assert_int_equal(envelope.version, 2);
    assert_int_equal(envelope.kind, ENVELOPE_REQUEST);
    assert_int_equal(envelope.correlation_id, 9);
    assert_null(envelope.body);
    assert_int_equal(envelope_next(&reader, &envelope, NULL), 0);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } frames[] = {
#define FRAME(bytes) {bytes, sizeof bytes - 1}
        FRAME("\x00"),
        FRAME("\x96"),
        FRAME("hello world"),
        FRAME("\x95\x01\x01\x01\x01\x01"),                       /* five elements */
        FRAME("\x97\x01\x01\x01\x01\x01\xc4\x00\x01"),           /* seven of version 1 */
        FRAME("\x96\x01\x03\x01\x01\x01\xc4\x00"),               /* kind 3 */
        FRAME("\x96\x01\x00\x01\x01\x01\xc4\x00"),               /* kind 0 */
        FRAME("\x96\x01\x01\xff\x01\x01\xc4\x00"),               /* negative correlation id */
        FRAME("\x96\x01\x01\x01\xcf\0\0\0\x01\0\0\0\0\0\xc4\0"), /* method over 32 bits */
        FRAME("\x96\x01\x01\x01\x01\x01\xa0"),                   /* str body */
        FRAME("\x96\x01\x01\x01\x01\x01\xc4\x05"
              "abcd"),                                         /* body cut short */
        FRAME("\x96\x01\x01\x01\x01\x01\xc6\xff\xff\xff\xff"), /* body of 4 GiB */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct envelope_reader reader;
        struct envelope envelope;
        struct error err = {0};
        envelope_reader_init(&reader, (const uint8_t *)frames[i].bytes, frames[i].size);
        if (envelope_next(&reader, &envelope, &err) != ERR_PROTOCOL)
            fail_msg("frame %zu was read", i);
        assert_true(err.text[0] != '\0');
    }
}

static void test_too_large(void **state)
{
    (void)state;
    struct buffer frame = {0};
    struct error err = {0};
    uint8_t *body = calloc(1, LIMIT_MESSAGE_SIZE + 1);
    struct envelope request = {
        .kind = ENVELOPE_REQUEST, .body = body, .body_size = LIMIT_MESSAGE_SIZE + 1};
    buffer_append_byte(&frame, 0x2a);
    assert_int_equal(envelope_append(&frame, &request, &err), ERR_LIMIT);
    assert_int_equal(frame.size, 1);
    Api__Payload payload = API__PAYLOAD__INIT;
    payload.has_data = 1;
    payload.data = (ProtobufCBinaryData){.len = LIMIT_MESSAGE_SIZE, .data = body};
    assert_int_equal(envelope_append_message(&frame, &request, &payload.base, &err), ERR_LIMIT);
    assert_int_equal(frame.size, 1);
    request.body_size = LIMIT_MESSAGE_SIZE;
    assert_int_equal(envelope_append(&frame, &request, &err), 0);
    assert_true(frame.size - 1 <= LIMIT_MESSAGE_SIZE + ENVELOPE_HEAD_MAX);
    struct envelope_reader reader;
    envelope_reader_init(&reader, frame.data + 1, frame.size - 1);
    struct envelope envelope;
    assert_int_equal(envelope_next(&reader, &envelope, &err), 1);
    assert_int_equal(envelope.body_size, LIMIT_MESSAGE_SIZE);
    buffer_fini(&frame);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_by_hand),
        cmocka_unit_test(test_reply_by_hand),
        cmocka_unit_test(test_many_in_one_frame),
        cmocka_unit_test(test_other_version_can_be_answered),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
