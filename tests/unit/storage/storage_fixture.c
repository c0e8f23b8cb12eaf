/* SPDX-License-Identifier: Apache-2.0 */
/* storage_fixture: see storage_fixture.h. */
#include "tests/test.h"

#include "tests/unit/storage/storage_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static void *run_server(void *argument)
{
    struct storage_fixture *fixture = argument;
    assert_int_equal(storage_server_run(fixture->server, NULL), 0);
    return NULL;
}

static void collected(void *context, uint64_t count, uint64_t bytes, const struct error *failure)
{
    (void)context;
    (void)count;
    (void)bytes;
    (void)failure;
}

static int open_collector(struct storage_fixture *fixture, struct error *err)
{
    int code = owner_oracle_create(fixture->config, fixture->catalog, &fixture->oracle, err);
    const struct artifact_collector_config config = {
        .artifacts = fixture->artifacts,
        .catalog = fixture->catalog,
        .oracle = fixture->oracle,
        .keep_hours = fixture->config->storage.artifact_keep_hours,
        .on_collected = collected,
    };
    return code == 0 ? artifact_collector_create(&config, &fixture->collector, err) : code;
}

void fixture_start(struct storage_fixture *fixture)
{
    struct error err = {0};
    const char *volume = fixture_path(fixture, "storage");
    mkdir(volume, 0700);
    if (artifact_store_open_files(volume, &fixture->store, &err) != 0 ||
        catalog_open(fixture_path(fixture, "storage/storage.db"), &fixture->catalog, &err) != 0 ||
        artifact_service_open(fixture->store, fixture->catalog, &fixture->artifacts, &err) != 0 ||
        artifact_verifier_create(fixture->store, fixture->catalog, &fixture->verifier, &err) != 0 ||
        open_collector(fixture, &err) != 0)
        fail_msg("%s", err.text);
    fixture->services[0] = artifact_service_table(fixture->artifacts);
    fixture->services[1] = model_service_table(fixture->catalog);
    fixture->services[2] = artifact_verifier_table(fixture->verifier);
    fixture->services[3] = artifact_collector_table(fixture->collector);
    fixture->stop_fd = eventfd(0, EFD_CLOEXEC);
    const struct storage_server_config config = {
        .endpoint = {.addresses = fixture->config->storage.listen,
                     .address_count = fixture->config->storage.listen_count},
        .services = fixture->services,
        .service_count = 4,
        .stop_fd = fixture->stop_fd,
    };
    if (storage_server_open(&config, &fixture->server, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
    fixture->is_running = true;
}

void fixture_stop(struct storage_fixture *fixture)
{
    if (!fixture->is_running)
        return;
    eventfd_write(fixture->stop_fd, 1);
    pthread_join(fixture->thread, NULL);
    storage_server_close(fixture->server);
    artifact_collector_destroy(fixture->collector);
    owner_oracle_destroy(fixture->oracle);
    artifact_verifier_destroy(fixture->verifier);
    artifact_service_close(fixture->artifacts);
    catalog_close(fixture->catalog);
    artifact_store_close(fixture->store);
    close(fixture->stop_fd);
    fixture->is_running = false;
}

void fixture_open(struct storage_fixture *fixture, const char *yaml)
{
    static const struct hardware hardware = {.cpus = 2};
    struct error err = {0};
    char text[512];
    *fixture = (struct storage_fixture){.folder = "/tmp/argosy-storage-XXXXXX"};
    assert_non_null(mkdtemp(fixture->folder));
    int length = snprintf(text, sizeof text, "node: n\ndata_dir: %s\nstorage: {%s}\n",
                          fixture->folder, yaml);
    if (fleet_config_parse(text, (size_t)length, "test.yaml", "/", &hardware, &fixture->config,
                           &err) != 0 ||
        storage_client_open(fixture->config, NULL, &fixture->client, &err) != 0)
        fail_msg("%s", err.text);
    fixture_start(fixture);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void fixture_close(struct storage_fixture *fixture)
{
    storage_client_close(fixture->client);
    fixture_stop(fixture);
    fleet_config_destroy(fixture->config);
    nftw(fixture->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_path(const struct storage_fixture *fixture, const char *format, ...)
{
    static _Thread_local char paths[8][512];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 8];
    int length = snprintf(path, sizeof paths[0], "%s/", fixture->folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + length, sizeof paths[0] - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

const char *fixture_content(const struct storage_fixture *fixture, const char *id)
{
    const char *hex = id + strlen("sha256:");
    return fixture_path(fixture, "storage/artifacts/%.2s/%s", hex, hex);
}

int fixture_count(const struct storage_fixture *fixture, const char *folder)
{
    DIR *entries = opendir(fixture_path(fixture, "%s", folder));
    if (entries == NULL)
        return 0;
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

uint8_t *fixture_bytes(size_t size, unsigned seed)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(state >> 56);
    }
    return bytes;
}
