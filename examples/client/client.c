/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: what `argosy run NAME --input JSON` does, as a program of one's own: starts a workflow by
 * its name in the factory, tells of its progress while it waits, prints its result.
 *
 *     ./client search '{"collection": "library", "question": "animals at rest"}'
 *
 * Names and inputs are those of `argosy factory list` and `argosy factory show NAME`. It finds the
 * fleet as argosy does: by $ARGOSY_ENDPOINT, $ARGOSY_DATA_DIR or ./.argosy. Ending it leaves the
 * run going.
 */
#include <stdio.h>
#include <string.h>

#include <argosy/argosy.h>

#define LOOK_EVERY_MS 500

static int fail(const char *what, const struct argosy_error *err)
{
    fprintf(stderr, "client: %s: %s\n", what, err->text);
    return 1;
}

/* The query is answered by a worker that runs the workflow. One without this query, or no worker
 * for now, is no reason to stop waiting. */
static void print_progress(struct argosy_client *client, const struct argosy_factory_run *run)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload answer;
    if (argosy_client_query(client, run->workflow_id, run->run_id, "progress",
                            (struct argosy_payloads){0}, arena, &answer, NULL) == 0)
        fprintf(stderr, "%s\n", argosy_payload_text(&answer, arena));
    argosy_arena_destroy(arena);
}

/* A wait that ended is asked again; a run that timed out has a failure. */
static int wait_for(struct argosy_client *client, const struct argosy_factory_run *run,
                    struct argosy_arena *arena, struct argosy_payload *ret_result,
                    struct argosy_error *err)
{
    for (;;) {
        int code = argosy_client_result(client, run->workflow_id, run->run_id, LOOK_EVERY_MS, arena,
                                        ret_result, err);
        if (code != ARGOSY_ERR_TIMEOUT || err->failure != NULL)
            return code;
        print_progress(client, run);
    }
}

static int run_by_name(struct argosy_factory *factory, struct argosy_client *client,
                       const char *name, const char *input_json, struct argosy_arena *arena)
{
    struct argosy_error err = {0};
    struct argosy_factory_run run;
    if (argosy_factory_start(factory, client, name, input_json, &run, &err) != 0)
        return fail(name, &err);
    fprintf(stderr, "workflow id %s, run id %s\n", run.workflow_id, run.run_id);
    struct argosy_payload result;
    if (wait_for(client, &run, arena, &result, &err) != 0)
        return fail(run.workflow_id, &err);
    printf("%s\n", argosy_payload_text(&result, arena));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: client NAME INPUT-AS-JSON\n");
        return 64;
    }
    struct argosy_error err = {0};
    struct argosy_factory *factory = NULL;
    struct argosy_client *client = NULL;
    struct argosy_arena *arena = argosy_arena_create();
    int status = 1;
    /* NULL: the entries of the shipped workflows; a config's own are read from its path. */
    if (argosy_factory_open(NULL, &factory, &err) != 0)
        fail("factory", &err);
    else if (argosy_client_connect(&(struct argosy_connection_options){0}, &client, &err) != 0)
        fail("fleet", &err);
    else
        status = run_by_name(factory, client, argv[1], argv[2], arena);
    argosy_client_close(client);
    argosy_factory_close(factory);
    argosy_arena_destroy(arena);
    return status;
}
