/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a peer sends, the core answers: random messages of every method, most of them made
 * plausible (real ids, queues and tokens), with time, lost sessions and restarts between them. The
 * fixture checks invariants, log and encodability of every reply after each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/message.h"
#include "tests/unit/api/random_message.h"
#include "tests/unit/engine/worker_script.h"

#define SEEDS      12
#define STEPS      600
#define TOKENS_MAX 64
#define DEPTH      5

static struct fixture fixture;
static struct random chance;
static ProtobufCBinaryData tokens[TOKENS_MAX]; /* that the core has handed out */
static size_t token_count;

static const char *pick_workflow_id(void)
{
    return arena_printf(&fixture.arena, "flow-%d", (int)random_below(&chance, 4));
}

static void learn_tokens(void)
{
    for (size_t i = 0; i < fixture.reply_count; i++) {
        const ProtobufCMessage *body = fixture.replies[i].body;
        ProtobufCBinaryData token = {0};
        if (body->descriptor == &api__poll_workflow_task_queue_response__descriptor)
            token = ((const workflow_task_message *)body)->task_token;
        else if (body->descriptor == &api__poll_activity_task_queue_response__descriptor)
            token = ((const activity_task_message *)body)->task_token;
        if (token.len > 0)
            tokens[token_count++ % TOKENS_MAX] = token;
    }
    fixture.reply_count = 0;
}

static void make_plausible(ProtobufCMessage *message);

static void set_has(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    *(protobuf_c_boolean *)((char *)message + field->quantifier_offset) = true;
}

static void make_field_plausible(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *place = (char *)message + field->offset;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label == PROTOBUF_C_LABEL_OPTIONAL) {
        bool is_set =
            (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
            *(const uint32_t *)((const char *)message + field->quantifier_offset) == field->id;
        ProtobufCMessage *member = is_set ? *(ProtobufCMessage **)place : NULL;
        if (member == NULL &&
            (strcmp(field->name, "task_queue") == 0 ||
             strcmp(field->name, "workflow_execution") == 0 ||
             strcmp(field->name, "execution") == 0 || strcmp(field->name, "workflow_type") == 0 ||
             strcmp(field->name, "activity_type") == 0))
            member = *(ProtobufCMessage **)place = message_new(&fixture.arena, field->descriptor);
        if (member != NULL)
            make_plausible(member);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
               field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t *quantifier = (size_t *)((char *)message + field->quantifier_offset);
        if (*quantifier > 3)
            *quantifier = random_below(&chance, 4);
        size_t count = *quantifier;
        for (size_t i = 0; i < count; i++)
            make_plausible((*(ProtobufCMessage ***)place)[i]);
    } else if (strcmp(field->name, "workflow_id") == 0) {
        *(const char **)place = pick_workflow_id();
    } else if (strcmp(field->name, "run_id") == 0) {
        *(const char **)place = NULL;
    } else if (strcmp(field->name, "cron_schedule") == 0) {
        *(const char **)place = NULL;
    } else if (strcmp(field->name, "activity_id") == 0 || strcmp(field->name, "timer_id") == 0) {
        *(const char **)place =
            arena_printf(&fixture.arena, "id-%d", (int)random_below(&chance, 6));
    } else if (strcmp(field->name, "name") == 0) {
        *(const char **)place = "q"; /* queues and types */
    } else if (strcmp(field->name, "registered_types") == 0) {
        *(size_t *)((char *)message + field->quantifier_offset) = 0;
    } else if (strcmp(field->name, "kind") == 0 && field->type == PROTOBUF_C_TYPE_ENUM) {
        *(int *)place =
            random_below(&chance, 4) == 0 ? TASK_QUEUE_KIND_STICKY : TASK_QUEUE_KIND_NORMAL;
        set_has(message, field);
    } else if (strcmp(field->name, "slots") == 0) {
        *(int32_t *)place = (int32_t)random_below(&chance, 4);
        set_has(message, field);
    } else if (strcmp(field->name, "scheduled_event_id") == 0) {
        *(int64_t *)place = (int64_t)random_below(&chance, 20);
        set_has(message, field);
    } else if (strcmp(field->name, "task_token") == 0 && token_count > 0) {
        size_t known = token_count < TOKENS_MAX ? token_count : TOKENS_MAX;
        *(ProtobufCBinaryData *)place = tokens[random_below(&chance, known)];
        set_has(message, field);
    } else if (strcmp(field->name, "seconds") == 0) {
        *(int64_t *)place = (int64_t)random_below(&chance, 20);
        set_has(message, field);
    } else if (strcmp(field->name, "nanos") == 0) {
        *(int32_t *)place = (int32_t)random_below(&chance, 1000000000);
        set_has(message, field);
    }
}

/* A command's kind and attributes agree. */
static void make_command_plausible(Api__Command *command)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        command->base.descriptor, (unsigned)command->attributes_case);
    static const char *const suffix = "_command_attributes";
    command->has_command_type = true;
    for (unsigned i = 0; field != NULL && i < api__command_type__descriptor.n_values; i++) {
        char name[128];
        const char *from = api__command_type__descriptor.values[i].name + strlen("COMMAND_TYPE_");
        size_t length = 0;
        for (; from[length] != '\0'; length++)
            name[length] = (char)(from[length] == '_' ? '_' : from[length] | 0x20);
        memcpy(name + length, suffix, strlen(suffix) + 1);
        if (strcmp(name, field->name) == 0)
            command->command_type = (Api__CommandType)api__command_type__descriptor.values[i].value;
    }
}

static void make_plausible(ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        make_field_plausible(message, &message->descriptor->fields[i]);
    if (message->descriptor == &api__command__descriptor)
        make_command_plausible((Api__Command *)message);
    if (message->descriptor == &api__start_workflow_execution_request__descriptor)
        ((Api__StartWorkflowExecutionRequest *)message)->retry_policy = NULL;
}

static void set_namespace(ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "namespace");
    if (field != NULL)
        *(const char **)((char *)message + field->offset) = "default";
}

/* Every method once in turn; polls and completions more often, so that something happens. */
static enum method pick_method(void)
{
    static const enum method methods[] = {
#define METHOD_VALUE(name, number, lower, camel) METHOD_##name,
        METHODS(METHOD_VALUE)
#undef METHOD_VALUE
            METHOD_START_WORKFLOW_EXECUTION,
        METHOD_START_WORKFLOW_EXECUTION,
        METHOD_POLL_WORKFLOW_TASK_QUEUE,
        METHOD_POLL_WORKFLOW_TASK_QUEUE,
        METHOD_POLL_ACTIVITY_TASK_QUEUE,
        METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
        METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
        METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
    };
    return methods[random_below(&chance, sizeof methods / sizeof methods[0])];
}

static void step(void)
{
    uint64_t dice = random_below(&chance, 100);
    if (dice < 2) {
        fixture_restart(&fixture);
    } else if (dice < 5) {
        fixture_lose(&fixture, 1 + random_below(&chance, 5), "chance");
    } else if (dice < 20) {
        fixture_advance(&fixture, (int64_t)random_below(&chance, 30) * S);
    } else {
        enum method method = pick_method();
        ProtobufCMessage *body =
            random_message(&chance, &fixture.arena, method_get(method)->request, DEPTH);
        if (random_below(&chance, 4) != 0)
            make_plausible(body);
        if (random_below(&chance, 20) != 0)
            set_namespace(body);
        fixture_send(&fixture, 1 + random_below(&chance, 5), method, body);
    }
    learn_tokens();
}

static void test_random_requests(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        printf("seed %d\n", (int)seed); /* the last one printed is the one that failed */
        fixture_init(&fixture);
        chance = (struct random){.state = seed};
        token_count = 0;
        for (int i = 0; i < STEPS; i++)
            step();
        fixture_fini(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
