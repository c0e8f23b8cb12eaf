/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_fixture: a storage process inside the test: a volume in a folder of its own under /tmp,
 * the server on a thread, and a client.
 */
#ifndef ARGOSY_TESTS_UNIT_STORAGE_STORAGE_FIXTURE_H
#define ARGOSY_TESTS_UNIT_STORAGE_STORAGE_FIXTURE_H

#include <pthread.h>

#include "storage/artifacts/artifact_collector.h"
#include "storage/artifacts/artifact_service.h"
#include "storage/artifacts/artifact_store.h"
#include "storage/artifacts/artifact_verifier.h"
#include "storage/catalog.h"
#include "storage/registry/model_service.h"
#include "storage/server.h"
#include "storage/storage_client.h"

struct storage_fixture {
    char folder[64]; /* the data folder; the volume is in it */
    struct fleet_config *config;
    struct artifact_store *store;
    struct catalog *catalog;
    struct artifact_service *artifacts;
    struct artifact_verifier *verifier;
    struct owner_oracle *oracle;
    struct artifact_collector *collector;
    struct storage_service services[4];
    struct storage_server *server;
    struct storage_client *client;
    pthread_t thread;
    int stop_fd;
    bool is_running;
};

/* yaml: more of the config's section "storage", as a flow map's members, or "". */
void fixture_open(struct storage_fixture *fixture, const char *yaml);
void fixture_close(struct storage_fixture *fixture);

/* The server ends as by SIGTERM, and starts again on the same volume. */
void fixture_stop(struct storage_fixture *fixture);
void fixture_start(struct storage_fixture *fixture);

/* A path in the data folder, until the next call but seven. */
const char *fixture_path(const struct storage_fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The file of an artifact in the volume, by its id. */
const char *fixture_content(const struct storage_fixture *fixture, const char *id);

/* Files in a folder of the data folder, dots left out. */
int fixture_count(const struct storage_fixture *fixture, const char *folder);

/* size bytes that no other seed gives; the caller frees them. */
uint8_t *fixture_bytes(size_t size, unsigned seed);

#endif
