/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_network: connections between actors and the engine. Every message takes its own time, so that
 * messages overtake each other; a connection can be cut, whereupon calls are repeated on the next
 * one; an answered call can be repeated all the same, as by a client that missed the answer.
 */
#include <stdlib.h>

#include "common/assert.h"
#include "engine/message.h"
#include "tests/simulation/sim.h"

#define DELAY_US sim_between(sim, 20, 2000)

void sim_actor_add(struct sim *sim, struct sim_actor *actor)
{
    sim->actors = reallocarray(sim->actors, sim->actor_count + 1, sizeof(struct sim_actor *));
    ASSERT(sim->actors != NULL);
    sim->actors[sim->actor_count++] = actor;
}

/* --- calls
 * ------------------------------------------------------------------------------------------- */

struct delivery {
    uint64_t session, correlation;
    enum method method;
    const ProtobufCMessage *body;
    int status;
    bool more;
};

static void deliver_request(struct sim *sim, void *arg, uint64_t epoch)
{
    const struct delivery *delivery = arg;
    if (epoch == sim->epoch)
        sim_engine_request(sim, delivery->session, delivery->correlation, delivery->method,
                           delivery->body);
}

static void send(struct sim *sim, struct sim_call *call)
{
    call->session = call->actor->session;
    call->correlation = sim->next_correlation++;
    HASH_ADD(hh, sim->calls, correlation, sizeof call->correlation, call);
    struct delivery *delivery = sim_alloc(sim, sizeof *delivery);
    *delivery = (struct delivery){.session = call->session,
                                  .correlation = call->correlation,
                                  .method = call->method,
                                  .body = call->body};
    sim_at(sim, DELAY_US, deliver_request, delivery, sim->epoch);
    if (sim_chance(sim, sim->options.cut_chance))
        sim_cut(sim, call->actor);
}

void sim_call(struct sim *sim, struct sim_actor *actor, enum method method, const void *body,
              bool repeats, sim_answer *answer, void *context)
{
    struct sim_call *call = sim_alloc(sim, sizeof *call);
    *call = (struct sim_call){.actor = actor,
                              .incarnation = actor->incarnation,
                              .method = method,
                              .body = body,
                              .answer = answer,
                              .context = context,
                              .repeats = repeats};
    DL_APPEND(actor->calls, call);
    if (actor->session != 0)
        send(sim, call);
}

static void forget(struct sim *sim, struct sim_call *call)
{
    if (call->correlation != 0)
        HASH_DEL(sim->calls, call);
    call->correlation = 0;
}

/* A client that did not hear the answer in time asks again; the answer is then for nobody. */
static void repeat(struct sim *sim, const struct sim_call *call)
{
    struct delivery *delivery = sim_alloc(sim, sizeof *delivery);
    *delivery = (struct delivery){.session = call->session,
                                  .correlation = sim->next_correlation++,
                                  .method = call->method,
                                  .body = call->body};
    sim_at(sim, sim_between(sim, 20, SIM_S), deliver_request, delivery, sim->epoch);
}

static void deliver_reply(struct sim *sim, void *arg, uint64_t epoch)
{
    const struct delivery *delivery = arg;
    struct sim_call *call;
    HASH_FIND(hh, sim->calls, &delivery->correlation, sizeof delivery->correlation, call);
    if (epoch != sim->epoch || call == NULL || call->session != delivery->session ||
        call->actor->session != call->session)
        return;
    struct sim_actor *actor = call->actor;
    if (!delivery->more) {
        if (call->repeats && sim_chance(sim, sim->options.repeat_chance))
            repeat(sim, call);
        forget(sim, call);
        DL_DELETE(actor->calls, call);
    }
    call->answer(sim, actor, call->context, delivery->status, delivery->body);
}

void sim_network_reply(struct sim *sim, uint64_t session, uint64_t correlation, int status,
                       bool more, const ProtobufCMessage *body)
{
    struct delivery *delivery = sim_alloc(sim, sizeof *delivery);
    *delivery = (struct delivery){.session = session,
                                  .correlation = correlation,
                                  .status = status,
                                  .more = more,
                                  .body = body};
    sim_at(sim, DELAY_US, deliver_reply, delivery, sim->epoch);
}

/* --- connections
 * ------------------------------------------------------------------------------------- */

static void session_lost(struct sim *sim, void *arg, uint64_t session)
{
    (void)arg;
    sim_engine_session_lost(sim, session, "lease ran out");
}

static void disconnect(struct sim *sim, struct sim_actor *actor)
{
    actor->session = 0;
    struct sim_call *call, *next;
    DL_FOREACH_SAFE (actor->calls, call, next) {
        forget(sim, call);
        if (!call->repeats)
            DL_DELETE(actor->calls, call);
    }
}

static void connect_now(struct sim *sim, void *arg, uint64_t incarnation)
{
    struct sim_actor *actor = arg;
    if (actor->dead || actor->incarnation != incarnation || actor->session != 0 ||
        sim->core == NULL)
        return;
    actor->session = sim->next_session++;
    actor->connected(sim, actor);
    struct sim_call *call;
    DL_FOREACH (actor->calls, call) {
        if (call->correlation == 0 && actor->session != 0)
            send(sim, call);
    }
}

void sim_connect(struct sim *sim, struct sim_actor *actor, int64_t delay_us)
{
    sim_at(sim, delay_us, connect_now, actor, actor->incarnation);
}

void sim_cut(struct sim *sim, struct sim_actor *actor)
{
    if (actor->session == 0)
        return;
    sim->cuts++;
    /* The engine hears before or after the actor comes back. */
    sim_at(sim, sim_between(sim, SIM_MS, 2 * SIM_S), session_lost, NULL, actor->session);
    disconnect(sim, actor);
    sim_connect(sim, actor, sim_between(sim, SIM_MS, SIM_S));
}

void sim_kill(struct sim *sim, struct sim_actor *actor)
{
    sim->deaths++;
    if (actor->session != 0)
        sim_at(sim, sim_between(sim, SIM_MS, 3 * SIM_S), session_lost, NULL, actor->session);
    disconnect(sim, actor);
    actor->calls = NULL;
    actor->incarnation++;
}

void sim_network_engine_crashed(struct sim *sim)
{
    for (size_t i = 0; i < sim->actor_count; i++)
        disconnect(sim, sim->actors[i]);
}
