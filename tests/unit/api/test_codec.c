/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_codec: the promises of api/codec.h. protobuf-c's own encoding is the independent truth that
 * a message survived; bytes written by hand pin the format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "api/field.h"
#include "api/messages.h"
#include "api/msgpack_writer.h"
#include "common/limits.h"
#include "tests/unit/api/random_message.h"

static uint64_t seed(void)
{
    const char *text = getenv("ARGOSY_SEED");
    uint64_t value = text != NULL ? strtoull(text, NULL, 0) : 20260101;
    print_message("ARGOSY_SEED=%llu\n", (unsigned long long)value);
    return value;
}

static void assert_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t size = protobuf_c_message_get_packed_size(a);
    assert_int_equal(size, protobuf_c_message_get_packed_size(b));
    uint8_t *packed_a = malloc(size + 1);
    uint8_t *packed_b = malloc(size + 1);
    assert_int_equal(protobuf_c_message_pack(a, packed_a), size);
    assert_int_equal(protobuf_c_message_pack(b, packed_b), size);
    assert_memory_equal(packed_a, packed_b, size);
    free(packed_a);
    free(packed_b);
}

static int decode(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                  struct arena *arena, void *ret_message, struct error *err)
{
    return codec_decode(type, data, size, arena, ret_message, err);
}

/* encode -> decode -> encode of one message: same fields, same bytes. */
static void check_round_trip(const ProtobufCMessage *message)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct buffer first = {0};
    struct buffer second = {0};
    struct error err = {0};
    assert_int_equal(codec_encode(message, &first, &err), 0);
    ProtobufCMessage *decoded;
    if (decode(message->descriptor, first.data, first.size, &arena, &decoded, &err) != 0)
        fail_msg("%s", err.text);
    assert_same(message, decoded);
    assert_int_equal(codec_encode(decoded, &second, &err), 0);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    ProtobufCMessage *copy = codec_copy(message, &arena);
    assert_non_null(copy);
    assert_same(message, copy);
    buffer_fini(&first);
    buffer_fini(&second);
    arena_fini(&arena);
}

static void test_any_message_survives(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *types[MESSAGE_TYPES_MAX];
    size_t count = message_types(types);
    assert_true(count > 150);
    struct random random = {seed()};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < count; i++) {
        for (int round = 0; round < 8; round++) {
            check_round_trip(random_message(&random, &arena, types[i], (unsigned)round % 4));
            arena_reset(&arena);
        }
    }
    arena_fini(&arena);
}

static void test_bytes_by_hand(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0x84,                                     /* 4 fields */
        0x01, 0xa1, 'n',                          /* namespace = "n" */
        0x02, 0x82, 0x01, 0xa1, 'q',  0x02, 0x01, /* task_queue = {name "q", kind NORMAL} */
        0xcd, 0x27, 0x11, 0x92, 0xa1, 'A',  0xa0, /* 10001: registered_types = ["A", ""] */
        0xcd, 0x27, 0x12, 0xd1, 0xff, 0x7f,       /* 10002: slots = -129 */
    };
    Api__PollActivityTaskQueueRequest poll = API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    Api__TaskQueue queue = API__TASK_QUEUE__INIT;
    const char *types[] = {"A", ""};
    queue.name = "q";
    queue.has_kind = 1;
    queue.kind = TASK_QUEUE_KIND_NORMAL;
    poll.namespace_ = "n";
    poll.task_queue = &queue;
    poll.n_registered_types = 2;
    poll.registered_types = types;
    poll.has_slots = 1;
    poll.slots = -129;
    struct buffer buffer = {0};
    assert_int_equal(codec_encode(&poll.base, &buffer, NULL), 0);
    assert_int_equal(buffer.size, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    buffer_fini(&buffer);
}

/* The codec finds the end of a oneof without looking at each member. */
static void test_members_of_a_oneof_are_neighbours(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *types[MESSAGE_TYPES_MAX];
    size_t count = message_types(types);
    size_t oneofs = 0;
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *fields = types[i]->fields;
        for (unsigned last = 0; last < types[i]->n_fields; last++) {
            if (!field_is_in_oneof(&fields[last]))
                continue;
            oneofs++;
            unsigned first = last;
            while (last + 1 < types[i]->n_fields && field_is_in_oneof(&fields[last + 1]) &&
                   fields[last + 1].quantifier_offset == fields[first].quantifier_offset)
                last++;
            for (unsigned other = last + 1; other < types[i]->n_fields; other++)
                assert_false(field_is_in_oneof(&fields[other]) &&
                             fields[other].quantifier_offset == fields[first].quantifier_offset);
        }
    }
    assert_true(oneofs >= 3);
}

static int append(void *context, const char *data, size_t size)
{
    buffer_append(context, data, size);
    return 0;
}

/* msgpack-c is the independent truth of the shortest form of every number and size. */
static void test_items_are_as_msgpack_c_writes_them(void **state)
{
    (void)state;
    struct buffer ours = {0};
    struct buffer theirs = {0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &theirs, append);
    char *text = calloc(1, UINT16_MAX + 2);
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t around = 0; around < 4; around++) {
            uint64_t number = (UINT64_C(1) << shift) + around - 2;
            int64_t negative = (int64_t)(UINT64_C(0) - number);
            msgpack_write_unsigned(&ours, number);
            msgpack_pack_uint64(&packer, number);
            msgpack_write_signed(&ours, (int64_t)number);
            msgpack_pack_int64(&packer, (int64_t)number);
            msgpack_write_signed(&ours, negative);
            msgpack_pack_int64(&packer, negative);
            msgpack_write_float(&ours, (float)negative);
            msgpack_pack_float(&packer, (float)negative);
            msgpack_write_double(&ours, (double)number);
            msgpack_pack_double(&packer, (double)number);
            uint32_t size = (uint32_t)number;
            msgpack_write_array(&ours, size);
            msgpack_pack_array(&packer, size);
            msgpack_write_map(&ours, size);
            msgpack_pack_map(&packer, size);
            if (number > UINT16_MAX + 1)
                continue;
            msgpack_write_str(&ours, text, size);
            msgpack_pack_str(&packer, size);
            msgpack_pack_str_body(&packer, text, size);
            msgpack_write_bin(&ours, (const uint8_t *)text, size);
            msgpack_pack_bin(&packer, size);
            msgpack_pack_bin_body(&packer, text, size);
        }
    }
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, ours.size);
    free(text);
    buffer_fini(&ours);
    buffer_fini(&theirs);
}

static void test_bytes_fields_are_borrowed(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x81, 0x02, 0xc4, 0x02, 0x00, 0xff}; /* Payload.data */
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__Payload *payload;
    assert_int_equal(decode(&api__payload__descriptor, data, sizeof data, &arena, &payload, NULL),
                     0);
    assert_ptr_equal(payload->data.data, data + 4);
    assert_int_equal(payload->data.len, 2);
    arena_fini(&arena);
}

struct refusal {
    const char *what;
    const ProtobufCMessageDescriptor *type;
    const char *bytes;
    size_t size;
    int code;
    const char *text;
};

#define REFUSAL(type, bytes, code, text)                                                           \
    {                                                                                              \
#bytes, &api__##type##__descriptor, bytes, sizeof bytes - 1, code, text                    \
    }

static void test_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        REFUSAL(timestamp, "", ERR_PROTOCOL, "Timestamp: map expected, got the end"),
        REFUSAL(timestamp, "\x90", ERR_PROTOCOL, "Timestamp: map expected, got array"),
        REFUSAL(timestamp, "\xc1", ERR_PROTOCOL, "Timestamp: map expected, got the end"),
        REFUSAL(timestamp, "\xdf\xff\xff\xff\xff", ERR_PROTOCOL, "map expected, got the end"),
        REFUSAL(timestamp, "\x81\x01", ERR_PROTOCOL, "Timestamp: map expected, got the end"),
        REFUSAL(timestamp, "\x81\x01\xcd", ERR_PROTOCOL, "Timestamp.seconds: a value expected"),
        REFUSAL(timestamp, "\x81\xa1n\x01", ERR_PROTOCOL, "field number expected, got str"),
        REFUSAL(timestamp, "\x81\xff\x01", ERR_PROTOCOL, "field number expected, got negative"),
        REFUSAL(timestamp, "\x82\x01\x01\x01\x02", ERR_PROTOCOL, "seconds: field is there twice"),
        REFUSAL(timestamp, "\x80\x00", ERR_PROTOCOL, "Timestamp: bytes follow the end"),
        REFUSAL(timestamp, "\x81\x01\xc0", ERR_PROTOCOL, "integer expected, got nil"),
        REFUSAL(timestamp, "\x81\x01\xcb\0\0\0\0\0\0\0\0", ERR_PROTOCOL, "integer expected"),
        REFUSAL(timestamp, "\x81\x01\xcf\x80\0\0\0\0\0\0\0", ERR_PROTOCOL, "out of range"),
        REFUSAL(timestamp, "\x81\x02\xce\x80\0\0\0", ERR_PROTOCOL, "nanos: number is out of range"),
        REFUSAL(timestamp, "\x81\x02\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", ERR_PROTOCOL,
                "nanos: number is out of range"),
        REFUSAL(cancel_request, "\x81\x01\xff", ERR_PROTOCOL, "out of range"),
        REFUSAL(workflow_type, "\x81\x01\xa2\x61\0", ERR_PROTOCOL, "text holds a NUL"),
        REFUSAL(workflow_type, "\x81\x01\xa2\xc3\x28", ERR_PROTOCOL, "text is not UTF-8"),
        REFUSAL(workflow_type, "\x81\x01\xa3\xed\xa0\x80", ERR_PROTOCOL, "text is not UTF-8"),
        REFUSAL(workflow_type,
                "\x81\x01\xa5"
                "ab",
                ERR_PROTOCOL, "WorkflowType.name: a value"),
        REFUSAL(workflow_type,
                "\x81\x01\xc4\x01"
                "a",
                ERR_PROTOCOL, "str expected, got bin"),
        REFUSAL(payload,
                "\x81\x02\xa1"
                "a",
                ERR_PROTOCOL, "bin expected, got str"),
        REFUSAL(payload, "\x81\x01\x01", ERR_PROTOCOL, "array expected, got integer"),
        REFUSAL(payload, "\x81\x01\x91\x82\x01\xa1k\x02\xc3", ERR_PROTOCOL,
                "Payload.metadata.value: bin expected, got bool"),
        REFUSAL(payloads, "\x81\x01\xdd\xff\xff\xff\xff", ERR_PROTOCOL, "array expected, got the"),
        REFUSAL(ping_request, "\x81\x07\x93\x01", ERR_PROTOCOL, "a value expected"),
        REFUSAL(failure, "\x82\x05\x80\x06\x80", ERR_PROTOCOL, "another member of its oneof"),
    };
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *refusal = &refusals[i];
        struct error err = {0};
        ProtobufCMessage *message = (void *)&arena;
        int rc = decode(refusal->type, refusal->bytes, refusal->size, &arena, &message, &err);
        if (rc != refusal->code || strstr(err.text, refusal->text) == NULL)
            fail_msg("%s: %d \"%s\", wanted %d \"%s\"", refusal->what, rc, err.text, refusal->code,
                     refusal->text);
        assert_ptr_equal(message, &arena);
    }
    arena_fini(&arena);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct refusal accepted[] = {
        /* unknown numbers, of any depth and type; a number too large for a field */
        REFUSAL(timestamp,
                "\x83\x63\x92\x81\xc0\xc3\xd4\x01\x02\x01\x07\xcf\xff\xff\xff\xff\xff\xff"
                "\xff\xff\x01",
                0, ""),
        /* wide forms of small numbers, and numbers out of order */
        REFUSAL(timestamp, "\xdf\0\0\0\x02\x02\xd3\0\0\0\0\0\0\0\x01\xcf\0\0\0\0\0\0\0\x01\xd0\x07",
                0, ""),
        REFUSAL(payload, "\x81\x01\x90", 0, ""),
        REFUSAL(retry_policy, "\x81\x02\xca\x40\0\0\0", 0, ""),
    };
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct error err = {0};
        ProtobufCMessage *message;
        if (decode(accepted[i].type, accepted[i].bytes, accepted[i].size, &arena, &message, &err) !=
            0)
            fail_msg("%s: %s", accepted[i].what, err.text);
        if (i < 2)
            assert_int_equal(((Api__Timestamp *)message)->seconds, 7);
        if (i == 3)
            assert_true(((Api__RetryPolicy *)message)->backoff_coefficient == 2.0);
    }
    arena_fini(&arena);
}

/* A failure with `depth` causes inside one another. */
static Api__Failure *nest(struct arena *arena, int depth)
{
    Api__Failure *outer = NULL;
    for (int i = 0; i < depth; i++) {
        Api__Failure *failure = arena_alloc(arena, sizeof *failure);
        api__failure__init(failure);
        failure->cause = outer;
        outer = failure;
    }
    return outer;
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    check_round_trip(&nest(&arena, LIMIT_MESSAGE_DEPTH)->base);
    struct buffer buffer = {0};
    struct error err = {0};
    assert_int_equal(codec_encode(&nest(&arena, LIMIT_MESSAGE_DEPTH + 1)->base, &buffer, &err),
                     ERR_LIMIT);
    assert_int_equal(buffer.size, 0);
    for (int i = 0; i < 100000; i++)
        buffer_append(&buffer, "\x81\x04", 2);
    buffer_append(&buffer, "\x80", 1);
    ProtobufCMessage *message;
    assert_int_equal(
        decode(&api__failure__descriptor, buffer.data, buffer.size, &arena, &message, &err),
        ERR_LIMIT);
    assert_non_null(strstr(err.text, "nested too deeply"));
    buffer_fini(&buffer);
    arena_fini(&arena);
}

static void test_count_and_size_are_bounded(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct error err = {0};
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    buffer_append(&buffer, "\x81\x01\xdd\x00\x01\x00\x01", 7); /* 65,537 payloads */
    for (size_t i = 0; i <= LIMIT_REPEATED_COUNT; i++)
        buffer_append_byte(&buffer, 0x80);
    ProtobufCMessage *message;
    assert_int_equal(
        decode(&api__payloads__descriptor, buffer.data, buffer.size, &arena, &message, &err),
        ERR_LIMIT);
    assert_string_equal(err.text, "Payloads.payloads: too many elements");

    buffer_clear(&buffer);
    size_t size = LIMIT_MESSAGE_SIZE - 7; /* map, key and bin 32 head take 7 bytes */
    Api__Payload payload = API__PAYLOAD__INIT;
    payload.has_data = 1;
    payload.data = (ProtobufCBinaryData){.len = size, .data = calloc(1, size + 1)};
    assert_int_equal(codec_encode(&payload.base, &buffer, &err), 0);
    assert_int_equal(buffer.size, LIMIT_MESSAGE_SIZE);
    assert_int_equal(
        decode(&api__payload__descriptor, buffer.data, buffer.size, &arena, &message, &err), 0);
    payload.data.len++;
    assert_int_equal(codec_encode(&payload.base, &buffer, &err), ERR_LIMIT);
    assert_int_equal(buffer.size, LIMIT_MESSAGE_SIZE);
    assert_int_equal(decode(&api__payload__descriptor, buffer.data, LIMIT_MESSAGE_SIZE + 1, &arena,
                            &message, &err),
                     ERR_LIMIT);
    free(payload.data.data);
    buffer_fini(&buffer);
    arena_fini(&arena);
}

static void test_not_utf8_is_not_sent(void **state)
{
    (void)state;
    Api__WorkflowType type = API__WORKFLOW_TYPE__INIT;
    type.name = "\xff";
    struct buffer buffer = {0};
    struct error err = {0};
    assert_int_equal(codec_encode(&type.base, &buffer, &err), ERR_INVALID);
    assert_string_equal(err.text, "WorkflowType.name: text is not UTF-8");
    assert_int_equal(buffer.size, 0);
    buffer_fini(&buffer);
}

/* Every truncation of a message is refused or, at the full length, accepted; nothing is read beyond
 * it (the copies are exactly as long, so that the address sanitizer sees a byte too many). */
static void test_every_truncation(void **state)
{
    (void)state;
    struct random random = {7};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    ProtobufCMessage *message = random_message(&random, &arena, &api__history_event__descriptor, 2);
    struct buffer buffer = {0};
    assert_int_equal(codec_encode(message, &buffer, NULL), 0);
    size_t end = buffer.size < 4096 ? buffer.size : 4096;
    for (size_t size = 0; size < end; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, buffer.data, size);
        cut = realloc(cut, size > 0 ? size : 1);
        ProtobufCMessage *decoded;
        struct arena scratch;
        arena_init(&scratch, ARENA_NO_LIMIT);
        assert_int_equal(decode(message->descriptor, cut, size, &scratch, &decoded, NULL),
                         ERR_PROTOCOL);
        arena_fini(&scratch);
        free(cut);
    }
    buffer_fini(&buffer);
    arena_fini(&arena);
}

/* Memory that ends at any point gives an error, never a crash or a half message. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    struct random random = {11};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    ProtobufCMessage *message =
        random_message(&random, &arena, &api__poll_workflow_task_queue_response__descriptor, 3);
    struct buffer buffer = {0};
    assert_int_equal(codec_encode(message, &buffer, NULL), 0);
    int failures = 0;
    for (size_t limit = 0;; limit += 16) {
        struct arena small;
        arena_init(&small, limit);
        ProtobufCMessage *decoded = NULL;
        struct error err = {0};
        int rc = decode(message->descriptor, buffer.data, buffer.size, &small, &decoded, &err);
        ProtobufCMessage *copy = NULL;
        if (rc == 0) {
            arena_reset(&small);
            copy = codec_copy(message, &small);
            if (copy != NULL)
                assert_same(message, copy);
        } else {
            assert_int_equal(rc, ERR_LIMIT);
            assert_null(decoded);
            failures++;
        }
        arena_fini(&small);
        if (copy != NULL)
            break;
    }
    assert_true(failures > 10);
    buffer_fini(&buffer);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_message_survives),
        cmocka_unit_test(test_bytes_by_hand),
        cmocka_unit_test(test_members_of_a_oneof_are_neighbours),
        cmocka_unit_test(test_items_are_as_msgpack_c_writes_them),
        cmocka_unit_test(test_bytes_fields_are_borrowed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_count_and_size_are_bounded),
        cmocka_unit_test(test_not_utf8_is_not_sent),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
