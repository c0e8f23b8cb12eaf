/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_core: whatever peers send, the core answers and keeps its invariants.
 *
 * The input is a sequence of steps: a head of six bytes and, for a request, its encoded body. The
 * head: the method's number (0xff: the session is lost; no method's: only time passes), the session
 * in the low 4 bits (0x80: the body's task token is replaced by the last one handed out), seconds
 * that pass before, size of the body; the last two in 2 bytes, little-endian.
 */
#include <string.h>

#include "api/codec.h"
#include "api/method.h"
#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/core.h"

#define STEP_SIZE  6
#define STEPS_MAX  200
#define LOST       0xff
#define WITH_TOKEN 0x80
#define TOKEN_MAX  64

struct world {
    struct core *core;
    struct outbox outbox;
    struct arena arena; /* of the request under way */
    int64_t now_us;
    uint64_t sequence;
    uint8_t token[TOKEN_MAX]; /* the last one handed out */
    size_t token_size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void learn_token(struct world *world, const ProtobufCMessage *body)
{
    ProtobufCBinaryData token = {0};
    if (body->descriptor == &api__poll_workflow_task_queue_response__descriptor)
        token = ((const Api__PollWorkflowTaskQueueResponse *)body)->task_token;
    else if (body->descriptor == &api__poll_activity_task_queue_response__descriptor)
        token = ((const Api__PollActivityTaskQueueResponse *)body)->task_token;
    if (token.len == 0)
        return;
    ASSERT(token.len <= TOKEN_MAX);
    memcpy(world->token, token.data, token.len);
    world->token_size = token.len;
}

static struct core_input begin(struct world *world)
{
    outbox_reset(&world->outbox, ++world->sequence);
    return (struct core_input){.now_utc_us = world->now_us, .entropy = {world->sequence, 7}};
}

/* Every reply can be sent, and everything is durable at once. */
static void end(struct world *world)
{
    for (size_t i = 0; i < world->outbox.reply_count; i++) {
        struct buffer bytes = {0};
        const ProtobufCMessage *body = world->outbox.replies[i].body;
        int rc = codec_encode(body, &bytes, NULL);
        ASSERT(rc == 0);
        buffer_fini(&bytes);
        learn_token(world, body);
    }
    core_check(world->core);
    core_durable(world->core, world->sequence);
    core_check(world->core);
}

static void let_pass(struct world *world, int64_t us)
{
    world->now_us += us;
    if (core_next_tick_utc_us(world->core) > world->now_us)
        return;
    struct core_input input = begin(world);
    core_tick(world->core, &input, &world->outbox);
    end(world);
}

/* 0 is the shell's own. */
static uint64_t session_of(const uint8_t *step)
{
    return 1 + (step[1] & 0x0f);
}

static void put_token(struct world *world, ProtobufCMessage *body)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(body->descriptor, "task_token");
    if (field == NULL || world->token_size == 0)
        return;
    *(ProtobufCBinaryData *)(void *)((char *)body + field->offset) =
        (ProtobufCBinaryData){.len = world->token_size, .data = world->token};
    *(protobuf_c_boolean *)((char *)body + field->quantifier_offset) = true;
}

static void request(struct world *world, const struct method_row *method, const uint8_t *step,
                    const uint8_t *body, size_t size)
{
    struct core_request request = {
        .session = session_of(step), .correlation = world->sequence, .method = method->method};
    ProtobufCMessage *message;
    arena_reset(&world->arena);
    if (codec_decode(method->request, body, size, &world->arena, &message, NULL) < 0)
        return;
    if ((step[1] & WITH_TOKEN) != 0)
        put_token(world, message);
    request.body = message;
    const struct core_lookup nothing = {.found = false};
    struct core_need need;
    struct core_input input = begin(world);
    if (core_handle(world->core, &input, &request, &need, &world->outbox) == CORE_NEEDS_RUN) {
        ASSERT(world->outbox.reply_count == 0 && world->outbox.write_count == 0);
        request.lookup = &nothing;
        enum core_result result = core_handle(world->core, &input, &request, &need, &world->outbox);
        ASSERT(result == CORE_HANDLED);
    }
    end(world);
}

static size_t take_step(struct world *world, const uint8_t *step, size_t left)
{
    size_t size = (size_t)step[4] | (size_t)step[5] << 8;
    if (size > left - STEP_SIZE)
        size = left - STEP_SIZE;
    let_pass(world, (step[2] | step[3] << 8) * US_PER_S);
    const struct method_row *method = method_get(step[0]);
    if (step[0] == LOST) {
        struct core_input input = begin(world);
        core_session_lost(world->core, &input, session_of(step), "lost", &world->outbox);
        end(world);
    } else if (method != NULL) {
        request(world, method, step, step + STEP_SIZE, size);
    }
    return STEP_SIZE + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct core_config config = core_config_default();
    struct world world = {.core = core_create(&config), .now_us = INT64_C(1700000000) * US_PER_S};
    outbox_init(&world.outbox);
    arena_init(&world.arena, LIMIT_DECODED_SIZE);
    size_t at = 0;
    for (int steps = 0; steps < STEPS_MAX && size - at >= STEP_SIZE; steps++)
        at += take_step(&world, data + at, size - at);
    core_destroy(world.core);
    outbox_fini(&world.outbox);
    arena_fini(&world.arena);
    return 0;
}
