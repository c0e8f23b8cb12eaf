/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saga: a trip is booked step by step, and what was booked is undone in reverse order when a later
 * step fails, nobody confirms in time, or the run is cancelled.
 *
 *     input: {"flight": "LH 441", "hotel": "Astoria", "car": "none left"}
 *
 * Flight and hotel are booked, the signal "confirm" is awaited for a day, then the car is booked. A
 * booking of "none left" fails. The result is "booked".
 *
 * A booking is a file bookings/RUN.KIND. Activities run at least once, so both of them leave the
 * same behind however often they run. While there is a file bookings/closed.KIND, the desk that
 * cancels such bookings is closed and is asked again every second.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <argosy/plugin.h>

#define CONFIRM_TIMEOUT_MS (24 * 60 * 60 * 1000)
#define PATH_SIZE          256

/* ---- activities: (kind, what) ---- */

static int booking_get(struct argosy_activity *activity, const char **ret_kind,
                       const char **ret_what, struct argosy_error *err)
{
    struct argosy_payloads inputs = argosy_activity_inputs(activity);
    if (inputs.count != 2)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "a booking has a kind and a name");
    struct argosy_arena *arena = argosy_activity_arena(activity);
    int code = argosy_payload_get_string(&inputs.items[0], arena, ret_kind, err);
    return code != 0 ? code : argosy_payload_get_string(&inputs.items[1], arena, ret_what, err);
}

/* Where the run keeps its booking of a kind. A run id is made by the engine: it holds no slash. */
static void booking_path(struct argosy_activity *activity, const char *kind, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "bookings/%s.%s", argosy_activity_info(activity)->run_id, kind);
}

static int book(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    const char *kind, *what;
    int code = booking_get(activity, &kind, &what, err);
    if (code != 0)
        return code;
    if (strcmp(what, "none left") == 0)
        return argosy_failure_raise(
            arena,
            &(struct argosy_failure_options){.type = "NoneLeft",
                                             .message =
                                                 argosy_arena_printf(arena, "no %s is left", kind),
                                             .non_retryable = true},
            err);
    char path[PATH_SIZE];
    booking_path(activity, kind, path);
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL && fprintf(file, "%s\n", what) > 0;
    if ((file != NULL && fclose(file) != 0) || !is_written)
        return argosy_error_set(err, ARGOSY_ERR_IO, "could not write %s: %s", path,
                                strerror(errno));
    *ret_result = argosy_payload_string(arena, argosy_arena_printf(arena, "%s: %s", kind, what));
    return 0;
}

/* Also of a booking that was never made, or is cancelled already. */
static int cancel_booking(struct argosy_activity *activity, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    const char *kind, *what;
    int code = booking_get(activity, &kind, &what, err);
    if (code != 0)
        return code;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "bookings/closed.%s", kind);
    if (access(path, F_OK) == 0)
        return argosy_error_set(err, ARGOSY_ERR_UNAVAILABLE, "the %s desk is closed", kind);
    booking_path(activity, kind, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return argosy_error_set(err, ARGOSY_ERR_IO, "could not remove %s: %s", path,
                                strerror(errno));
    struct argosy_arena *arena = argosy_activity_arena(activity);
    *ret_result =
        argosy_payload_string(arena, argosy_arena_printf(arena, "%s cancelled: %s", kind, what));
    return 0;
}

/* ---- the workflow ---- */

#define STEP_COUNT 3

static const char *const kinds[STEP_COUNT] = {"flight", "hotel", "car"};

struct trip {
    struct argosy_workflow *workflow;
    struct argosy_payload booked[STEP_COUNT][2]; /* arguments of each booking begun */
    size_t count;
};

static int trip_call(struct trip *trip, const char *activity, size_t step,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    return argosy_activity_execute(
        trip->workflow,
        &(struct argosy_activity_options){
            .type = activity,
            .input = {trip->booked[step], 2},
            .start_to_close_timeout_ms = 10000,
            .retry_policy = {.initial_interval_ms = 1000, .backoff_coefficient = 1},
            .cancellation_type = ARGOSY_CANCEL_WAIT},
        ret_result, err);
}

/* Books the next thing. It counts as booked from the moment it is tried: whether an attempt that
 * failed or was cancelled had its effect, only cancelling it makes certain. */
static int trip_book(struct trip *trip, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_workflow_arena(trip->workflow);
    size_t step = trip->count;
    trip->booked[step][0] = argosy_payload_string(arena, kinds[step]);
    int code = argosy_payload_get_member(argosy_workflow_input(trip->workflow), kinds[step], arena,
                                         &trip->booked[step][1], err);
    if (code != 0)
        return code;
    trip->count++;
    return trip_call(trip, "book", step, NULL, err);
}

static int trip_book_all(struct trip *trip, struct argosy_error *err)
{
    int code = trip_book(trip, err);
    if (code == 0)
        code = trip_book(trip, err);
    if (code == 0)
        code = argosy_signal_receive(trip->workflow, "confirm", CONFIRM_TIMEOUT_MS, NULL, err);
    if (code == 0)
        code = trip_book(trip, err);
    return code;
}

/* Undoes what was booked, last first. Shielded: it runs to its end although the run is cancelled.
 */
static int trip_undo(struct trip *trip, struct argosy_error *err)
{
    bool shielded = argosy_workflow_shield(trip->workflow, true);
    int code = 0;
    while (code == 0 && trip->count > 0)
        code = trip_call(trip, "cancel_booking", --trip->count, NULL, err);
    argosy_workflow_shield(trip->workflow, shielded);
    return code;
}

static int book_trip(struct argosy_workflow *workflow, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct trip trip = {.workflow = workflow};
    int code = trip_book_all(&trip, err);
    if (code == 0) {
        *ret_result = argosy_payload_json("\"booked\"");
        return 0;
    }
    struct argosy_error undo_err = {0};
    int undo_code = trip_undo(&trip, &undo_err);
    if (undo_code != 0)
        *err = undo_err; /* what could not be undone is the greater trouble */
    return undo_code != 0 ? undo_code : code;
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_workflow(registry, "TripWorkflow", book_trip, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "book", book, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "cancel_booking", cancel_booking, NULL, err);
    return code;
}
