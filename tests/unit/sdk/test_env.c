/* SPDX-License-Identifier: Apache-2.0 */
/* The users' test environment: a real engine as a child, gone when it is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <argosy/argosy.h>

static void test_start_use_stop(void **state)
{
    (void)state;
    struct argosy_test_env *env;
    struct argosy_error err = {0};
    if (argosy_test_env_start(&env, &err) < 0)
        fail_msg("%s", err.text);
    char *endpoint = strdup(argosy_test_env_endpoint(env));
    struct argosy_client *client;
    if (argosy_client_connect(&(struct argosy_connection_options){.endpoint = endpoint}, &client,
                              &err) < 0)
        fail_msg("%s", err.text);
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_start_options options = {
        .workflow_id = "one", .workflow_type = "T", .task_queue = "q"};
    assert_int_equal(argosy_client_start(client, &options, run_id, &err), 0);
    argosy_client_close(client);
    argosy_test_env_stop(env);
    /* The folder of its socket is gone, and with it the engine's only door. */
    *strrchr(endpoint, '/') = '\0';
    assert_int_equal(access(endpoint + strlen("ipc://"), F_OK), -1);
    free(endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_use_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
