/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages on their way through codecs: what is reached, what stays, what is left unchanged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/payload.h"
#include "sdk/payload_codec.h"

static struct arena arena;
static struct argosy_codecs *codecs;

/* A codec that anyone can undo: bytes become "<...>", labelled test/marked. */
static int mark(void *user_data, const struct argosy_payload *payload, struct argosy_arena *in,
                struct argosy_payload *ret_payload, struct argosy_error *err)
{
    (void)user_data, (void)err;
    char *text = argosy_arena_printf(in, "<%.*s>", (int)payload->size, (const char *)payload->data);
    *ret_payload = (struct argosy_payload){"test/marked", text, strlen(text), NULL, 0};
    return 0;
}

static int unmark(void *user_data, const struct argosy_payload *payload, struct argosy_arena *in,
                  struct argosy_payload *ret_payload, struct argosy_error *err)
{
    (void)user_data, (void)in;
    const char *text = payload->data;
    if (strcmp(payload->encoding, "test/marked") != 0)
        return ARGOSY_CODEC_KEPT;
    if (payload->size < 2 || text[0] != '<')
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "no mark");
    *ret_payload =
        (struct argosy_payload){ARGOSY_ENCODING_JSON, text + 1, payload->size - 2, NULL, 0};
    return 0;
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_NO_LIMIT);
    codecs = argosy_codecs_create();
    assert_int_equal(argosy_codecs_add(codecs,
                                       &(struct argosy_codec){.name = "mark",
                                                              .encode = mark,
                                                              .decode = unmark,
                                                              .hides_failures = true},
                                       NULL),
                     0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    argosy_codecs_destroy(codecs);
    arena_fini(&arena);
    return 0;
}

static Api__Payloads *payloads_of(const char *json)
{
    struct argosy_payload payload = argosy_payload_json(json);
    return payload_message(&payload, &arena);
}

static void assert_text(const Api__Payload *payload, const char *text)
{
    assert_int_equal(payload->data.len, strlen(text));
    assert_memory_equal(payload->data.data, text, strlen(text));
}

static const void *encode(const void *message)
{
    const ProtobufCMessage *encoded = NULL;
    struct error err = {0};
    if (payload_codec_encode(codecs, message, &arena, &encoded, &err) < 0)
        fail_msg("%s", err.text);
    return encoded;
}

/* What arrives: a message of its own, from the wire. */
static void *receive(const void *message, int expected_code)
{
    struct error err = {0};
    struct buffer *wire = arena_calloc(&arena, 1, sizeof *wire);
    ProtobufCMessage *received;
    assert_int_equal(codec_encode(message, wire, &err), 0);
    uint8_t *bytes = arena_memdup(&arena, wire->data, wire->size);
    assert_int_equal(codec_decode(((const ProtobufCMessage *)message)->descriptor, bytes,
                                  wire->size, &arena, &received, &err),
                     0);
    buffer_fini(wire);
    assert_int_equal(payload_codec_decode(codecs, received, &arena, &err), expected_code);
    return received;
}

/* ---- a start: inputs, memo and header are encoded, search attributes are the engine's ---- */

static void test_start_request(void **state)
{
    (void)state;
    Api__StartWorkflowExecutionRequest request = API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    Api__Memo memo = API__MEMO__INIT;
    Api__Memo__FieldsEntry memo_entry = API__MEMO__FIELDS_ENTRY__INIT;
    Api__Memo__FieldsEntry *memo_entries[] = {&memo_entry};
    Api__SearchAttributes attributes = API__SEARCH_ATTRIBUTES__INIT;
    Api__SearchAttributes__IndexedFieldsEntry attribute =
        API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT;
    Api__SearchAttributes__IndexedFieldsEntry *attribute_entries[] = {&attribute};
    memo_entry.key = "note";
    memo_entry.value = payloads_of("\"memo\"")->payloads[0];
    memo.n_fields = 1;
    memo.fields = memo_entries;
    attribute.key = "City";
    attribute.value = payloads_of("\"Paris\"")->payloads[0];
    attributes.n_indexed_fields = 1;
    attributes.indexed_fields = attribute_entries;
    request.workflow_id = "w";
    request.memo = &memo;
    request.search_attributes = &attributes;
    request.input = payloads_of("1");
    const Api__StartWorkflowExecutionRequest *encoded = encode(&request);
    assert_text(encoded->input->payloads[0], "<1>");
    assert_text(encoded->memo->fields[0]->value, "<\"memo\">");
    assert_string_equal(encoded->memo->fields[0]->key, "note");
    assert_text(encoded->search_attributes->indexed_fields[0]->value, "\"Paris\"");
    assert_string_equal(encoded->workflow_id, "w");
    /* The original is as it was. */
    assert_text(request.input->payloads[0], "1");
    assert_text(request.memo->fields[0]->value, "\"memo\"");
    const Api__StartWorkflowExecutionRequest *received = receive(encoded, 0);
    assert_text(received->input->payloads[0], "1");
    assert_text(received->memo->fields[0]->value, "\"memo\"");
}

/* ---- failures ---- */

static void test_failure_with_causes(void **state)
{
    (void)state;
    Api__ApplicationFailureInfo info = API__APPLICATION_FAILURE_INFO__INIT;
    info.type = "Type";
    info.details = payloads_of("\"details\"");
    Api__Failure root = API__FAILURE__INIT;
    root.message = "root \"cause\"";
    root.stack_trace = "line 1\nline 2";
    root.failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    root.application_failure_info = &info;
    Api__Failure silent = API__FAILURE__INIT;
    silent.cause = &root;
    Api__Failure top = API__FAILURE__INIT;
    top.message = "top";
    top.source = "S";
    top.cause = &silent;
    const Api__Failure *encoded = encode(&top);
    assert_string_equal(encoded->message, "Encoded failure");
    assert_string_equal(encoded->source, "S");
    assert_null(encoded->cause->encoded_attributes);
    const Api__Failure *inner = encoded->cause->cause;
    assert_string_equal(inner->message, "Encoded failure");
    assert_null(inner->stack_trace);
    assert_string_equal(inner->application_failure_info->type, "Type");
    assert_text(inner->application_failure_info->details->payloads[0], "<\"details\">");
    assert_text(inner->encoded_attributes, "<{\"message\":\"root \\\"cause\\\"\",\"stack_trace\":"
                                           "\"line 1\\nline 2\"}>");
    assert_string_equal(top.message, "top");
    assert_string_equal(root.message, "root \"cause\"");
    assert_null(root.encoded_attributes);
    const Api__Failure *received = receive(encoded, 0);
    assert_string_equal(received->message, "top");
    assert_null(received->encoded_attributes);
    assert_string_equal(received->cause->cause->message, "root \"cause\"");
    assert_string_equal(received->cause->cause->stack_trace, "line 1\nline 2");
}

/* Attributes of nobody we know stay where they are. */
static void test_foreign_attributes(void **state)
{
    (void)state;
    Api__Failure failure = API__FAILURE__INIT;
    failure.message = "Encoded failure";
    failure.encoded_attributes = payloads_of("[1]")->payloads[0];
    const Api__Failure *received = receive(&failure, 0);
    assert_string_equal(received->message, "Encoded failure");
    assert_text(received->encoded_attributes, "[1]");
}

static void test_too_deep(void **state)
{
    (void)state;
    static Api__Failure chain[LIMIT_MESSAGE_DEPTH + 1];
    for (size_t i = 0; i <= LIMIT_MESSAGE_DEPTH; i++) {
        api__failure__init(&chain[i]);
        chain[i].cause = i == LIMIT_MESSAGE_DEPTH ? NULL : &chain[i + 1];
    }
    const ProtobufCMessage *encoded;
    assert_int_equal(payload_codec_encode(codecs, &chain[0].base, &arena, &encoded, NULL),
                     ERR_LIMIT);
}

/* ---- what cannot be decoded ---- */

static void test_strict_and_lenient(void **state)
{
    (void)state;
    struct argosy_payload items[] = {{"test/marked", "broken", 6, NULL, 0},
                                     {"test/marked", "<1>", 3, NULL, 0}};
    Api__Payloads *message = payloads_message((struct argosy_payloads){items, 2}, &arena);
    receive(message, ERR_CORRUPT);
    struct error err = {0};
    assert_int_equal(payload_codec_decode(codecs, &message->base, &arena, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "codec \"mark\" could not decode a payload: no mark");
    assert_int_equal(payload_codec_decode_known(codecs, &message->base, &arena, &err), 0);
    assert_text(message->payloads[0], "broken");
    assert_text(message->payloads[1], "1");
}

static void test_without_codecs(void **state)
{
    (void)state;
    Api__Payloads *message = payloads_of("1");
    const ProtobufCMessage *encoded;
    assert_int_equal(payload_codec_encode(NULL, &message->base, &arena, &encoded, NULL), 0);
    assert_ptr_equal(encoded, message);
    assert_int_equal(payload_codec_decode(NULL, &message->base, &arena, NULL), 0);
    assert_int_equal(payload_codec_decode(codecs, NULL, &arena, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_request), TEST(failure_with_causes), TEST(foreign_attributes),
        TEST(too_deep),      TEST(strict_and_lenient),  TEST(without_codecs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
