/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_state: what the core holds, and the services its files share: making records and events,
 * finding runs, queues and waiting requests. Only engine's core files include it.
 *
 * The way of every change: decide, make records (run_record, run_event), which run_apply applies
 * and the end of the call writes; then bring the in-memory side in step (`*_arm`, `*_disarm`);
 * replies. Matching of tasks with polls happens once, at the end of the call.
 */
#ifndef ARGOSY_ENGINE_CORE_STATE_H
#define ARGOSY_ENGINE_CORE_STATE_H

#include "common/buffer.h"
#include "engine/core.h"
#include "engine/event.h"
#include "engine/run.h"
#include "queues/task_queue.h"

#define DEFAULT_NAMESPACE "default"

/* Records of a run that wait for the end of the call; reused between calls. */
struct write_buffer {
    struct buffer bytes;
    struct write_buffer *next;
};

/* A task queue of one kind, with what the core knows beside its matching. */
enum queue_kind { QUEUE_WORKFLOW = 'w', QUEUE_STICKY = 's', QUEUE_ACTIVITY = 'a' };
struct queue {
    enum queue_kind kind;
    const char *name; /* key + 1 */
    struct task_queue *tasks;
    int64_t polled_us; /* when a poll was last added or ended here */
    bool is_dirty;     /* a match may be possible */
    bool is_orphan;    /* a session that polled it is just ending */
    struct queue *dirty_next;
    UT_hash_handle hh; /* by key */
    char key[];        /* kind and name */
};

/* The holder of attempts that were dispatched before a restart, until their sessions claim them. */
#define SESSION_UNCLAIMED UINT64_MAX

/* A process at the other end of a connection. */
struct session {
    uint64_t id;
    char *identity, *instance_id, *node; /* "" until Hello */
    int64_t pid;
    uint64_t dispatched_total; /* tasks handed to it */
    struct pending *pendings;
    UT_hash_handle hh;
};

/* A request that waits for its reply. */
enum pending_kind {
    PENDING_POLL,
    PENDING_HISTORY,
    PENDING_QUERY,
    PENDING_SLEEP,
    PENDING_NODE,
    PENDING_CALL
};
struct pending_key {
    uint64_t session;
    uint64_t correlation;
};
struct pending {
    struct pending_key key;
    enum pending_kind kind;
    struct session *session;
    struct deadline deadline;
    /* PENDING_POLL */
    struct queue *queue;
    bool standing;
    char *identity;
    /* PENDING_HISTORY */
    struct run *run;
    int64_t next_event_id;
    int32_t page_size;
    bool close_only;
    /* PENDING_QUERY */
    struct query *query;
    /* PENDING_CALL */
    struct pending_key link; /* the PENDING_NODE that it was handed to */
    /* links */
    struct pending *session_prev, *session_next;
    struct pending *run_prev, *run_next;
    UT_hash_handle hh;
};

/* Open runs of one concurrency key; see run_group.h. */
struct run_group;

/* The ids of a start request that made a run which is closed by now; see start.c. */
struct recent_start;

struct core {
    /* configuration */
    struct core_config config;
    /* the current call */
    int64_t now_us;
    uint64_t random[2];
    struct outbox *outbox;
    const struct core_request *request;
    /* state */
    struct run *runs;      /* by run id: open ones, closed ones not yet durable, guests */
    struct run *workflows; /* by workflow id: the newest run of each that is in memory */
    struct queue *queues;
    struct queue_setting *queue_settings; /* by queue */
    struct session *sessions;
    struct pending *pendings;
    struct query *queries; /* by id */
    struct timer_queue timers;
    struct deadline reclaim; /* armed while recovered attempts wait for their sessions */
    int64_t next_run_key;
    int64_t next_minor; /* order of deadlines that belong to no run */
    struct recent_start *recent_starts;
    int64_t recovered_us; /* 0: nothing was recovered */
    int32_t time_locks;   /* time skips when there are none */
    /* figures */
    int64_t open_run_count;
    struct {
        uint64_t added_total, dispatched_total;
    } sticky_retired; /* of sticky queues that were dropped */
    /* work of the current call */
    struct run *dirty_runs; /* with unwritten records */
    struct queue *dirty_queues;
    struct write_buffer *free_buffers;
    /* runs that leave memory when their last write is durable, oldest first */
    struct run *closed_runs;
    struct run_group *run_groups; /* open runs by concurrency key */
    struct run *visitor; /* a closed run read back for the last call; its reply borrows it */
};

/* --- records (core.c) --- */

/* Applies a record and adds it to the run's write. What an event in it points to must live in the
 * run's arena. Aborts if the record cannot follow the state. */
void run_record(struct core *core, struct run *run, const Engine__Record *record);

/* An event of now in the run's arena, to be filled and passed to run_event, which gives it its
 * place: in the history, or behind the workflow task that is under way. */
Api__HistoryEvent *run_event_new(struct core *core, struct run *run, Api__EventType type);
void run_event(struct core *core, struct run *run, Api__HistoryEvent *event);

/* Fresh random bits; a new uuid. */
uint64_t core_random(struct core *core);
void core_uuid(struct core *core, char ret_text[UUID_TEXT_SIZE]);

/* --- runs (core.c) --- */

/* The run of a request: by run id if there is one, else the newest of the workflow id, in memory.
 * NULL when it is not in memory. */
struct run *core_run_find(const struct core *core, const Api__WorkflowExecution *execution);

/* Like core_run_find, for readers: a closed run is read back through the request's lookup. Returns
 * true with *ret_run set, or with NULL after replying that there is none; false when the shell must
 * look it up first (*ret_need says what). */
bool core_run_read(struct core *core, const struct core_request *request,
                   const Api__WorkflowExecution *execution, struct core_need *ret_need,
                   struct run **ret_run);

/* Like core_run_find, for changes: NULL after replying that no open run is there. */
struct run *core_run_open(struct core *core, const struct core_request *request,
                          const Api__WorkflowExecution *execution);

/* Says which run the shell must look up. */
void core_need_fill(struct core_need *need, const char *workflow_id, const char *run_id,
                    bool with_records);

/* The request's lookup as a run that lives until the next call; NULL after replying that the stored
 * log cannot be read. */
struct run *core_run_read_back(struct core *core, const struct core_request *request);

/* Adds a new run to the tables; the newest of its workflow id from now on. */
void core_run_add(struct core *core, struct run *run);

/* Takes every deadline and queued task of the run down: before its closing event. */
void run_disarm(struct core *core, struct run *run);

/* Takes the run down, records its closing event and calls run_closed. */
void run_close(struct core *core, struct run *run, Api__HistoryEvent *event);

/* After the closing event: waiters and queries are told, the run leaves when durable. */
void run_closed(struct core *core, struct run *run);

/* --- queues (queue.c) --- */

/* (queue_setting.c) Bounds and pauses a queue as it was set; tells a new poll of the slots that
 * were set, if it came with others; what holds for activities of a queue, 0 where nothing was set.
 */
void queue_setting_apply(struct core *core, struct queue *queue);
void queue_setting_greet(struct core *core, const struct pending *poll, int32_t polled);
void queue_setting_read(const struct core *core, const char *queue, int32_t *ret_max_in_flight,
                        int32_t *ret_slots);
bool queue_is_paused(const struct core *core, const char *queue);
void queues_paused_fill(struct core *core, Api__DescribeFleetResponse *response);
/* The configuration's bounds are these now, and no others. */
void queue_settings_reconfigure(struct core *core, const struct core_queue_limit *limits,
                                size_t count);
/* After the runs: what waits in paused queues waits in the right place. */
void queue_settings_recovered(struct core *core);
void queue_settings_destroy(struct core *core);

struct queue *queue_get(struct core *core, enum queue_kind kind, const char *name);
/* "workflow", "sticky", "activity" (stats.c). */
const char *queue_kind_name(enum queue_kind kind);
struct queue *queue_find(const struct core *core, enum queue_kind kind, const char *name);
void queue_dirty(struct core *core, struct queue *queue);
/* Of tasks of one time the one with the smallest event id goes first, offered again or not. */
void queue_offer(struct core *core, struct queue *queue, struct task *task, const char *type,
                 int priority, int64_t since_us, int64_t event_id);
/* Takes a task out of its queue, waiting or held; harmless when it is in none. */
void queue_remove(struct core *core, struct task *task);
void queue_hold(struct core *core, struct queue *queue, struct task *task, uint64_t session);
/* Somebody polls it, or did a moment ago. */
bool queue_is_alive(const struct core *core, const struct queue *queue);
/* Makes all matches that are possible; drops queues that are idle. */
void queues_match(struct core *core);
void queues_destroy(struct core *core);

/* --- waiting requests (pending.c) --- */

/* Registers the current request as waiting until deadline_us (0: for ever). NULL after an error
 * reply: its correlation id is in use. */
struct pending *pending_create(struct core *core, const struct core_request *request,
                               enum pending_kind kind, int64_t deadline_us);
/* Forgets it (its reply has been or will never be sent). */
void pending_destroy(struct core *core, struct pending *pending);
struct pending *pending_find(const struct core *core, uint64_t session, uint64_t correlation);
/* Its time is over: an empty answer, or a timeout error for a query or a call. */
void pending_expire(struct core *core, struct pending *pending);
/* Ends it with an error. */
void pending_fail(struct core *core, struct pending *pending, int code, const char *text);

/* --- nodes (node.c) --- */

/* The session's standing request for calls to its node; NULL when it is no link. */
struct pending *node_link_find(const struct session *session);
/* It ends: calls that wait for its answers fail. */
void node_link_gone(struct core *core, const struct pending *link);

/* --- sessions (session.c) --- */

/* The session of an id, new if need be. */
struct session *session_get(struct core *core, uint64_t id);
/* The session is gone: its requests are forgotten, its tasks are lost. Returns how many tasks. */
int32_t session_end(struct core *core, uint64_t id, const char *reason);
/* A sticky queue serves one process. If nobody polls it any more, what waits there goes to the
 * normal queue, and nothing is sent there again. */
void queue_abandon(struct core *core, struct queue *queue);
/* Forgets a session whose tasks are dealt with. */
void session_drop(struct core *core, struct session *session);
/* The grace after a recovery is over: attempts that nobody claimed are lost. */
void reclaim_end(struct core *core);

/* --- replies (reply.c) --- */

void reply_send(struct core *core, const struct core_request *request, const void *body);
void reply_error(struct core *core, const struct core_request *request, int code,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* detail: a message of api/proto/error_detail.proto, named by its type. */
void reply_error_detail(struct core *core, const struct core_request *request, int code,
                        const char *detail_type, const void *detail, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* A reply that is not to the current request. */
void reply_send_to(struct core *core, const struct pending_key *to, bool more, bool early,
                   const void *body);
void reply_error_to(struct core *core, const struct pending_key *to, int code, const char *text);

#endif
