/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-storage: the storage process: opens the volume in <data_dir>/storage and its services, and
 * serves until SIGTERM. Exit codes: common/exit_code.h; a volume that cannot be used is
 * EXIT_STORAGE, with the reason in the last log record.
 *
 * One storage process to a volume: it holds <data_dir>/storage/lock while it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/child.h"
#include "common/exit_code.h"
#include "common/fleet_config.h"
#include "common/log.h"
#include "storage/artifacts/artifact_collector.h"
#include "storage/artifacts/artifact_service.h"
#include "storage/artifacts/artifact_verifier.h"
#include "storage/registry/model_service.h"
#include "storage/artifacts/owner_oracle.h"
#include "storage/server.h"
#include "storage/vectors/vector_service.h"

static const char help[] =
    "usage: argosy-storage --config FILE\n"
    "\n"
    "Keeps artifacts, vectors and registered models in <data_dir>/storage. The supervisor starts\n"
    "it; by hand it serves the same.\n"
    "\n"
    "example: argosy-storage --config .argosy/" FLEET_EFFECTIVE "\n";

#define SERVICE_MAX 8

/* Everything that is open, in the order of opening. */
struct program {
    const struct fleet_config *config;
    struct child child;
    char folder[PATH_MAX]; /* the volume */
    int lock_fd;
    int stop_fd;
    struct artifact_store *store;
    struct catalog *catalog;
    struct artifact_service *artifacts;
    struct artifact_verifier *verifier;
    struct owner_oracle *oracle;
    struct artifact_collector *collector;
    struct vector_store *vectors;
    struct storage_service services[SERVICE_MAX];
    size_t service_count;
    struct storage_server *server;
};

static int exit_code_for(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_CONFIG:
    case ERR_NOT_FOUND:
    case ERR_PERMISSION:
    case ERR_EXISTS:
        return EXIT_BAD_CONFIG;
    case ERR_STORAGE:
    case ERR_CORRUPT:
    case ERR_UNSUPPORTED:
        return EXIT_STORAGE;
    case ERR_CLOSED:
        return EXIT_PARENT_DIED;
    default:
        return EXIT_INTERNAL;
    }
}

/* Returns an exit status, or -1 to go on. */
static int parse_arguments(int argc, char **argv, const char **ret_config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"index", required_argument, NULL, 'i'}, /* said to every child; there is one of us */
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if (option == 'c')
            *ret_config = optarg;
        else if (option != 'i')
            return EXIT_USAGE;
    }
    if (*ret_config != NULL && optind == argc)
        return -1;
    fputs(help, stderr);
    return EXIT_USAGE;
}

static int make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(err, ERR_STORAGE, errno, "could not make folder %s", path);
    return 0;
}

/* Makes the volume's folder and takes its lock, which the kernel frees when this process is gone.
 */
static int open_volume(struct program *program, struct error *err)
{
    char lock[PATH_MAX + 8];
    snprintf(program->folder, sizeof program->folder, "%s/storage", program->config->data_dir);
    snprintf(lock, sizeof lock, "%s/lock", program->folder);
    int code = make_folder(program->config->data_dir, err);
    if (code == 0)
        code = make_folder(program->folder, err);
    if (code != 0)
        return code;
    program->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (program->lock_fd < 0)
        return error_set_errno(err, ERR_STORAGE, errno, "could not open %s", lock);
    if (flock(program->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? error_set(err, ERR_EXISTS, "another storage process runs in %s",
                               program->folder)
                   : error_set_errno(err, ERR_STORAGE, errno, "could not lock %s", lock);
    return 0;
}

static void collected(void *context, uint64_t count, uint64_t bytes, const struct error *failure)
{
    (void)context;
    char quoted[ERROR_TEXT_MAX + 64];
    if (count > 0)
        log_info("artifacts.collected", "count=%" PRIu64 " bytes=%" PRIu64, count, bytes);
    if (failure != NULL)
        log_error("collection.failed", "code=%s reason=%s", error_name(failure->code),
                  log_quote(failure->text, quoted, sizeof quoted));
}

static int open_collector(struct program *program, struct error *err)
{
    int code = owner_oracle_create(program->config, program->catalog, &program->oracle, err);
    if (code != 0)
        return code;
    const struct artifact_collector_config config = {
        .artifacts = program->artifacts,
        .catalog = program->catalog,
        .oracle = program->oracle,
        .keep_hours = program->config->storage.artifact_keep_hours,
        .on_collected = collected,
    };
    return artifact_collector_create(&config, &program->collector, err);
}

static int open_vectors(struct program *program, struct error *err)
{
    const struct vector_store_options options = {
        .address = program->config->storage.vectors,
        .password_file = program->config->storage.vectors_password_file,
        .folder = program->folder,
        .memory_bytes = (size_t)program->config->storage.memory_mb << 20,
    };
    return vector_store_open(&options, &program->vectors, err);
}

static int open_services(struct program *program, struct error *err)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/storage.db", program->folder);
    int code = artifact_store_open_files(program->folder, &program->store, err);
    if (code == 0)
        code = catalog_open(path, &program->catalog, err);
    if (code == 0)
        code = artifact_service_open(program->store, program->catalog, &program->artifacts, err);
    if (code == 0)
        code = artifact_verifier_create(program->store, program->catalog, &program->verifier, err);
    if (code == 0)
        code = open_collector(program, err);
    if (code == 0)
        code = open_vectors(program, err);
    if (code != 0)
        return code;
    program->services[program->service_count++] = artifact_service_table(program->artifacts);
    program->services[program->service_count++] = artifact_verifier_table(program->verifier);
    program->services[program->service_count++] = artifact_collector_table(program->collector);
    program->services[program->service_count++] = model_service_table(program->catalog);
    program->services[program->service_count++] = vector_service_table(program->vectors);
    return 0;
}

static void turned(void *context)
{
    child_progress(context);
}

static int open_server(struct program *program, struct error *err)
{
    const struct fleet_storage *storage = &program->config->storage;
    const struct storage_server_config config = {
        .endpoint = {.addresses = storage->listen,
                     .address_count = storage->listen_count,
                     .server_key_file = storage->server_key_file,
                     .authorized_keys_dir = storage->authorized_keys_dir,
                     .insecure = storage->insecure},
        .services = program->services,
        .service_count = program->service_count,
        .stop_fd = program->stop_fd,
        .on_turn = turned,
        .context = &program->child,
    };
    return storage_server_open(&config, &program->server, err);
}

static void log_started(const struct program *program)
{
    char quoted[PATH_MAX];
    for (size_t i = 0; i < program->config->storage.listen_count; i++)
        log_info("storage.bound", "address=%s",
                 log_quote(storage_server_address(program->server, i), quoted, sizeof quoted));
    log_info("storage.started", "pid=%d folder=%s", (int)getpid(),
             log_quote(program->folder, quoted, sizeof quoted));
}

static int open_all(struct program *program, struct error *err)
{
    if (!program->config->storage.enabled)
        return error_set(err, ERR_CONFIG, "%s: storage does not run here (storage.enabled)",
                         program->config->source);
    int code = child_init(&program->child, "storage", err);
    if (code != 0)
        return code;
    program->stop_fd = child_signal_fd(err);
    if (program->stop_fd < 0)
        return program->stop_fd;
    code = open_volume(program, err);
    if (code == 0)
        code = open_services(program, err);
    if (code == 0)
        code = open_server(program, err);
    return code;
}

static void close_all(struct program *program)
{
    storage_server_close(program->server);
    vector_store_close(program->vectors);
    artifact_collector_destroy(program->collector);
    owner_oracle_destroy(program->oracle);
    artifact_verifier_destroy(program->verifier);
    artifact_service_close(program->artifacts);
    catalog_close(program->catalog);
    artifact_store_close(program->store);
    if (program->stop_fd >= 0)
        close(program->stop_fd);
    if (program->lock_fd >= 0)
        close(program->lock_fd);
}

static int serve(const struct fleet_config *config, struct error *err)
{
    struct program program = {.config = config, .lock_fd = -1, .stop_fd = -1};
    int code = open_all(&program, err);
    if (code == 0) {
        log_started(&program);
        child_ready(&program.child);
        child_progress(&program.child); /* from here on silence is a hang */
        code = storage_server_run(program.server, err);
    }
    close_all(&program);
    return code;
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    int status = parse_arguments(argc, argv, &path);
    if (status >= 0)
        return status;
    struct fleet_config *config = NULL;
    struct error err = {0};
    log_open("storage", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    /* A write that is refused is an error of that write, with its reason. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int code = fleet_config_load(path, &config, &err);
    if (code == 0) {
        log_open("storage", config->log_level, config->log_format);
        code = serve(config, &err);
    }
    if (code == 0) {
        log_info("storage.stopped", "pid=%d", (int)getpid());
    } else {
        char quoted[ERROR_TEXT_MAX + 64];
        log_error("storage.failed", "code=%s reason=%s", error_name(code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    fleet_config_destroy(config);
    return exit_code_for(code);
}
