/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_curve: who may connect over tcp: key files, the list of authorized keys, and what happens to
 * a client whose keys do not fit.
 */
#include "tests/unit/queues/transport_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queues/curve_key.h"

static const Api__GetSystemInfoRequest info_request = API__GET_SYSTEM_INFO_REQUEST__INIT;

struct paths {
    char server[128];
    char server_public[128];
    char client[128];
    char client_public[128];
    char other[128];
    char other_public[128];
    char authorized[128];
    char authorized_client[160];
};

static void make_key(const char *path)
{
    struct curve_key key;
    struct error err = {0};
    if (curve_key_create(&key, &err) != 0 || curve_key_write(&key, path, &err) != 0)
        fail_msg("%s", err.text);
}

static struct paths make_paths(const struct fixture *fixture)
{
    struct paths paths;
    const char *folder = fixture->folder;
    snprintf(paths.server, sizeof paths.server, "%s/server", folder);
    snprintf(paths.server_public, sizeof paths.server_public, "%s/server.pub", folder);
    snprintf(paths.client, sizeof paths.client, "%s/client", folder);
    snprintf(paths.client_public, sizeof paths.client_public, "%s/client.pub", folder);
    snprintf(paths.other, sizeof paths.other, "%s/other", folder);
    snprintf(paths.other_public, sizeof paths.other_public, "%s/other.pub", folder);
    snprintf(paths.authorized, sizeof paths.authorized, "%s/authorized", folder);
    snprintf(paths.authorized_client, sizeof paths.authorized_client, "%s/client.pub",
             paths.authorized);
    make_key(paths.server);
    make_key(paths.client);
    make_key(paths.other);
    assert_int_equal(mkdir(paths.authorized, 0700), 0);
    return paths;
}

/* ipc without keys and tcp with keys on one ROUTER. */
static void listen_both(struct fixture *fixture, const struct paths *paths)
{
    const char *addresses[] = {"tcp://127.0.0.1:0", fixture->address};
    struct endpoint_config config = {.addresses = addresses,
                                     .address_count = 2,
                                     .server_key_file = paths->server,
                                     .authorized_keys_dir = paths->authorized};
    struct error err = {0};
    if (endpoint_open(&config, &fixture->endpoint, &err) != 0)
        fail_msg("%s", err.text);
}

/* Addresses come ipc first. */
static const char *tcp_address(const struct fixture *fixture)
{
    const char *address = endpoint_address(fixture->endpoint, 1);
    assert_int_equal(strncmp(address, "tcp://127.0.0.1:", 16), 0);
    return address;
}

static struct endpoint_stats stats_of(const struct fixture *fixture)
{
    struct endpoint_stats stats;
    endpoint_stats_get(fixture->endpoint, &stats);
    return stats;
}

static void test_authorized_key(void **state)
{
    struct fixture *fixture = *state;
    struct paths paths = make_paths(fixture);
    assert_int_equal(link(paths.client_public, paths.authorized_client), 0);
    listen_both(fixture, &paths);
    struct connection_config config = {.address = tcp_address(fixture),
                                       .server_key_file = paths.server_public,
                                       .client_key_file = paths.client};
    fixture_connect(fixture, 0, &config);
    fixture_connect(fixture, 1, NULL); /* ipc needs none */
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[1].sessions == 1);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    assert_int_equal(stats_of(fixture).keys_refused, 0);
}

static void test_unlisted_key_is_refused_until_listed(void **state)
{
    struct fixture *fixture = *state;
    struct paths paths = make_paths(fixture);
    listen_both(fixture, &paths);
    struct connection_config config = {.address = tcp_address(fixture),
                                       .server_key_file = paths.server_public,
                                       .client_key_file = paths.client};
    fixture_connect(fixture, 0, &config);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 1000);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 1);
    assert_true(stats_of(fixture).keys_refused > 0);
    assert_int_equal(stats_of(fixture).messages_received, 0);
    assert_int_equal(fixture->clients[0].last_status, 16);
    assert_non_null(strstr(fixture->clients[0].last_text, "refused the handshake"));
    assert_int_equal(link(paths.client_public, paths.authorized_client), 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);
}

static void test_wrong_server_key(void **state)
{
    struct fixture *fixture = *state;
    struct paths paths = make_paths(fixture);
    assert_int_equal(link(paths.client_public, paths.authorized_client), 0);
    listen_both(fixture, &paths);
    struct connection_config config = {.address = tcp_address(fixture),
                                       .server_key_file = paths.other_public,
                                       .client_key_file = paths.client};
    fixture_connect(fixture, 0, &config);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 1000);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 1);
    assert_int_equal(stats_of(fixture).messages_received, 0);
    assert_int_not_equal(fixture->clients[0].last_status, 0);
    print_message("%s\n", fixture->clients[0].last_text);
}

static void test_no_key_on_a_curve_address(void **state)
{
    struct fixture *fixture = *state;
    struct paths paths = make_paths(fixture);
    listen_both(fixture, &paths);
    struct connection_config config = {.address = tcp_address(fixture)};
    fixture_connect(fixture, 0, &config);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 1000);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 1);
    assert_int_equal(stats_of(fixture).messages_received, 0);
    assert_int_not_equal(fixture->clients[0].last_status, 0);
    print_message("%s\n", fixture->clients[0].last_text);
}

static int try_open(const char *server_key_file, const char *authorized_keys_dir, struct error *err)
{
    struct endpoint_config config = {.addresses = (const char *const[]){"tcp://0.0.0.0:0"},
                                     .address_count = 1,
                                     .server_key_file = server_key_file,
                                     .authorized_keys_dir = authorized_keys_dir};
    struct endpoint *endpoint = NULL;
    int rc = endpoint_open(&config, &endpoint, err);
    endpoint_close(endpoint);
    return rc;
}

static void test_configuration(void **state)
{
    struct fixture *fixture = *state;
    struct paths paths = make_paths(fixture);
    struct error err = {0};
    assert_int_equal(try_open(paths.server, paths.authorized, &err), 0);
    assert_int_equal(try_open(paths.server, NULL, &err), ERR_CONFIG);
    assert_int_equal(try_open(paths.server, "/nonexistent", &err), ERR_CONFIG);
    assert_int_equal(try_open("/nonexistent", paths.authorized, &err), ERR_NOT_FOUND);
    assert_int_equal(try_open(paths.server_public, paths.authorized, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "holds no secret-key"));
    assert_int_equal(chmod(paths.server, 0640), 0);
    assert_int_equal(try_open(paths.server, paths.authorized, &err), ERR_PERMISSION);

    struct connection *connection;
    struct connection_config config = {.address = "tcp://127.0.0.1:1",
                                       .server_key_file = paths.server_public};
    assert_int_equal(connection_open(&config, &connection, &err), ERR_CONFIG);
    config.client_key_file = paths.client_public;
    assert_int_equal(connection_open(&config, &connection, &err), ERR_CONFIG);
    config.address = "tcp://127.0.0.1";
    assert_int_equal(connection_open(&config, &connection, &err), ERR_CONFIG);
}

static void test_key_files(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/key", fixture->folder);
    struct curve_key key, copy;
    struct error err = {0};
    assert_int_equal(curve_key_create(&key, &err), 0);
    assert_int_equal(curve_key_write(&key, path, &err), 0);
    assert_int_equal(curve_key_write(&key, path, &err), ERR_EXISTS);
    assert_int_equal(curve_key_read(path, &copy, &err), 0);
    assert_string_equal(copy.public_key, key.public_key);
    assert_string_equal(copy.secret_key, key.secret_key);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    strcat(path, ".pub");
    assert_int_equal(curve_key_read(path, &copy, &err), 0);
    assert_string_equal(copy.secret_key, "");
    assert_int_equal(curve_key_read_pair(path, &copy, &err), ERR_CONFIG);

    static const char *const bad[] = {
        "",                                                        /* no key */
        "# only a comment\n\n",                                    /* no key */
        "public-key: short\n",                                     /* not 40 characters */
        "public-key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n", /* no Z85 */
        "public key: x\n",
        "hello\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        FILE *file = fopen(path, "w");
        fputs(bad[i], file);
        fclose(file);
        if (curve_key_read(path, &copy, &err) != ERR_CONFIG || strstr(err.text, path) == NULL)
            fail_msg("\"%s\": %s", bad[i], err.text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_authorized_key),   TEST(test_unlisted_key_is_refused_until_listed),
        TEST(test_wrong_server_key), TEST(test_no_key_on_a_curve_address),
        TEST(test_configuration),    TEST(test_key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
