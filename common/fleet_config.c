/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_config: see fleet_config.h. The table of keys is fleet_schema.c; here are the defaults that
 * depend on the machine and the checks over several keys. */
#include "common/fleet_config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/child.h"
#include "common/fleet_include.h"
#include "common/fleet_schema.h"
#include "common/fleet_service.h"
#include "common/gpu_name.h"
#include "common/http_address.h"
#include "common/limits.h"
#include "common/yaml_tree.h"

#define DATA_DIR_DEFAULT ".argosy"
#define ENV_DATA_DIR     "ARGOSY_DATA_DIR"
#define ENV_MODEL_DIR    "ARGOSY_MODEL_DIR"
#define ENV_HTTP_LISTEN  "ARGOSY_HTTP_LISTEN"
#define HTTP_LISTEN_FILE                                                                           \
    "127.0.0.1:9464" /* the usual port of OpenTelemetry's Prometheus exporters */
#define HTTP_LISTEN_DEV "127.0.0.1:0"

/* Two turns of an idle worker may be late. */
#define HANG_MS_MIN (3 * CHILD_IDLE_TURN_MS)

/* Most memory of a loaded config: YAML_NODE_MAX nodes and structs of under 200 bytes each, and
 * texts that substitution may have made longer. */
#define CONFIG_MEMORY_MAX (32 * LIMIT_MIB)

/* A config with the memory that holds it. */
struct fleet_config_owner {
    struct fleet_config config; /* first: a config's address is its owner's */
    struct arena arena;
};

struct loader {
    struct fleet_config *config;
    struct arena *arena;
    struct yaml_problems *problems; /* NULL: the first error ends it */
    const struct yaml_node *root;
    const char *folder;
    const struct hardware *hardware;
    const struct fleet_dev_options *options; /* zeros when a file is read */
    bool is_dev;                             /* there is no file */
    struct error *err;
};

static int fail_memory(struct loader *loader)
{
    return error_set(loader->err, ERR_MEMORY, "configuration: out of memory");
}

/* Defaults */

static int default_folders(struct loader *loader)
{
    struct fleet_config *config = loader->config;
    const char *data_dir = loader->options->data_dir;
    if (config->data_dir == NULL)
        config->data_dir = yaml_path(loader->arena, loader->folder,
                                     data_dir != NULL ? data_dir : DATA_DIR_DEFAULT);
    const char *models = getenv(ENV_MODEL_DIR);
    if (config->models_dir == NULL && models != NULL && models[0] != '\0') {
        /* Where the first model goes need not exist yet. */
        char here[PATH_MAX];
        if (getcwd(here, sizeof(here)) == NULL)
            return error_set_errno(loader->err, ERR_IO, errno, "cannot find the current folder");
        config->models_dir = yaml_path(loader->arena, here, models);
    } else if (config->models_dir == NULL) {
        config->models_dir = arena_printf(loader->arena, "%s/models", config->data_dir);
    }
    return config->data_dir != NULL && config->models_dir != NULL ? 0 : fail_memory(loader);
}

static int default_node(struct loader *loader)
{
    if (loader->config->node != NULL)
        return 0;
    char host[CHILD_NODE_MAX + 1];
    if (gethostname(host, sizeof host) != 0 || host[0] == '\0')
        strcpy(host, "localhost");
    host[CHILD_NODE_MAX] = '\0';
    loader->config->node = arena_strdup(loader->arena, host);
    return loader->config->node != NULL ? 0 : fail_memory(loader);
}

/* A second fleet on the machine must not meet the first one's port where nobody chose one. */
static int default_http(struct loader *loader)
{
    struct fleet_http *http = &loader->config->http;
    const char *listen = getenv(ENV_HTTP_LISTEN);
    if (http->listen != NULL)
        return 0;
    if (listen == NULL || listen[0] == '\0') {
        http->listen = loader->is_dev ? HTTP_LISTEN_DEV : HTTP_LISTEN_FILE;
        return 0;
    }
    struct sockaddr_storage address;
    socklen_t length;
    if (!http_address_is_none(listen) && !http_address_parse(listen, &address, &length))
        return error_set(loader->err, ERR_CONFIG,
                         "environment variable " ENV_HTTP_LISTEN ": \"%.64s\" is no address",
                         listen);
    http->listen = arena_strdup(loader->arena, listen);
    return http->listen != NULL ? 0 : fail_memory(loader);
}

/* The queue of the group's kind; CPU workers of a fleet with storage serve its queue, too. */
static int default_queues(struct loader *loader, struct fleet_group *group)
{
    const struct fleet_group_queue queues[] = {
        {group->kind == FLEET_GROUP_CPU ? FLEET_QUEUE_CPU : FLEET_QUEUE_GPU,
         fleet_schema_slots(group->kind)},
        {FLEET_QUEUE_STORAGE, FLEET_STORAGE_SLOTS},
    };
    bool has_storage = loader->config->storage.enabled || loader->config->storage.endpoint != NULL;
    group->queues = arena_memdup(loader->arena, queues, sizeof queues);
    group->queue_count = group->kind == FLEET_GROUP_CPU && has_storage ? 2 : 1;
    return group->queues != NULL ? 0 : fail_memory(loader);
}

/* Sentiment classes: what a first-time user can judge by eye. Of nine phrasings tried with
 * all-MiniLM-L6-v2 on 18 short English sentences, these label the most as people do: 16. */
static int default_labels(struct loader *loader, struct fleet_group *group)
{
    static const struct fleet_label labels[] = {
        {"positive", "I am happy and satisfied. This is great."},
        {"negative", "I am unhappy and disappointed. This is a complaint."},
        {"neutral", "This is a note about times, places, numbers and things."},
    };
    group->labels = arena_memdup(loader->arena, labels, sizeof labels);
    group->label_count = sizeof labels / sizeof labels[0];
    return group->labels != NULL ? 0 : fail_memory(loader);
}

/* GPUs that the group's list means. What is not seen here counts, too: a MIG slice may be used
 * without, and placement refuses the rest. */
static size_t count_named(const struct fleet_group *group, const struct hardware *hardware)
{
    size_t count = 0;
    for (size_t i = 0; i < group->gpu_count; i++) {
        size_t meant = 0;
        for (size_t gpu = 0; gpu < hardware->gpu_count; gpu++)
            meant += gpu_name_means(group->gpus[i], &hardware->gpus[gpu]);
        count += meant > 0 ? meant : 1;
    }
    return count;
}

static int default_processes(const struct fleet_group *group, const struct hardware *hardware)
{
    if (group->kind == FLEET_GROUP_CPU)
        return hardware_cpu_workers(hardware);
    size_t gpus = group->gpu_count > 0 ? count_named(group, hardware) : hardware->gpu_count;
    if (group->device == FLEET_DEVICE_CPU || gpus == 0)
        return 1;
    int processes = (int)gpus * group->processes_per_gpu;
    return processes < FLEET_PROCESSES_MAX ? processes : FLEET_PROCESSES_MAX;
}

static int default_group(struct loader *loader, struct fleet_group *group)
{
    int code = 0;
    if (group->processes == FLEET_PROCESSES_UNSET)
        group->processes = default_processes(group, loader->hardware);
    if (group->mps_percentage == 0)
        group->mps_percentage = 100 / group->processes_per_gpu;
    if (group->queues == NULL)
        code = default_queues(loader, group);
    if (code == 0 && group->labels == NULL && group->kind == FLEET_GROUP_GPU)
        code = default_labels(loader, group);
    return code;
}

/* The groups of a config that names none. */
static int create_groups(struct loader *loader)
{
    const struct fleet_dev_options *options = loader->options;
    struct fleet_group *groups = arena_calloc(loader->arena, 2, sizeof *groups);
    if (groups == NULL)
        return fail_memory(loader);
    fleet_schema_init_group(&groups[0], FLEET_GROUP_CPU);
    groups[0].name = "cpu";
    if (options->cpu_workers > 0)
        groups[0].processes = options->cpu_workers;
    fleet_schema_init_group(&groups[1], FLEET_GROUP_GPU);
    groups[1].name = "gpu";
    groups[1].device = options->device;
    if (options->model != NULL) {
        const char *reason = fleet_schema_check_name(options->model);
        if (reason != NULL)
            return error_set(loader->err, ERR_CONFIG, "model \"%.128s\" %s", options->model,
                             reason);
        groups[1].model = arena_strdup(loader->arena, options->model);
        if (groups[1].model == NULL)
            return fail_memory(loader);
    }
    loader->config->groups = groups;
    loader->config->group_count = 2;
    return 0;
}

static int default_groups(struct loader *loader)
{
    struct fleet_config *config = loader->config;
    int code = config->groups == NULL ? create_groups(loader) : 0;
    for (size_t i = 0; i < config->group_count && code == 0; i++)
        code = default_group(loader, &config->groups[i]);
    return code;
}

/* Addresses */

static int finish_engine(struct loader *loader)
{
    struct fleet_engine *engine = &loader->config->engine;
    const struct fleet_service service = {
        .section = "engine",
        .noun = "an engine",
        .listen = &engine->listen,
        .listen_count = &engine->listen_count,
        .address = &engine->address,
        .endpoint = engine->endpoint,
        .insecure = engine->insecure,
        .has_server_keys = engine->server_key_file != NULL && engine->authorized_keys_dir != NULL,
        .has_client_keys =
            engine->server_public_key_file != NULL && engine->client_key_file != NULL,
    };
    return fleet_service_finish(&service, loader->config->data_dir, loader->root, loader->arena,
                                loader->err);
}

/* Whether storage runs here where the file does not say so: beside the engine. */
static int enable_storage(struct loader *loader)
{
    struct fleet_storage *storage = &loader->config->storage;
    const struct yaml_node *section = yaml_get(loader->root, "storage");
    const struct yaml_node *node = section != NULL ? yaml_get(section, "enabled") : NULL;
    char line[YAML_LINE_SIZE];
    if (node == NULL || node->is_null)
        storage->enabled = storage->endpoint == NULL && loader->config->engine.endpoint == NULL;
    else if (storage->enabled && storage->endpoint != NULL)
        return yaml_fail(node, loader->err, "storage runs either here or elsewhere (endpoint, %s)",
                         yaml_line(yaml_get(section, "endpoint"), node, line));
    return 0;
}

static int finish_storage(struct loader *loader)
{
    struct fleet_storage *storage = &loader->config->storage;
    int code = enable_storage(loader);
    if (code != 0 || (!storage->enabled && storage->endpoint == NULL))
        return code;
    const struct fleet_service service = {
        .section = "storage",
        .noun = "a storage process",
        .listen = &storage->listen,
        .listen_count = &storage->listen_count,
        .address = &storage->address,
        .endpoint = storage->endpoint,
        .insecure = storage->insecure,
        .has_server_keys = storage->server_key_file != NULL && storage->authorized_keys_dir != NULL,
        .has_client_keys =
            storage->server_public_key_file != NULL && storage->client_key_file != NULL,
    };
    return fleet_service_finish(&service, loader->config->data_dir, loader->root, loader->arena,
                                loader->err);
}

/* Checks over several keys */

/* The index-th group in the file; the root when the groups are the defaults. */
static const struct yaml_node *group_node(const struct loader *loader, size_t index)
{
    const struct yaml_node *groups = yaml_get(loader->root, "groups");
    if (groups == NULL || groups->is_null)
        return loader->root;
    const struct yaml_node *node = groups->first;
    while (index-- > 0)
        node = node->next;
    return node;
}

static int check_group(struct loader *loader, const struct fleet_group *group,
                       const struct yaml_node *node)
{
    const struct yaml_node *labels = yaml_get(node, "labels");
    const struct yaml_node *queues = yaml_get(node, "queues");
    const struct yaml_node *temperature = yaml_get(node, "temperature");
    if (group->queue_count == 0)
        return yaml_fail(queues, loader->err, "a group needs at least one queue");
    if (group->smt == FLEET_SMT_AVOID && group->pinning == FLEET_PINNING_NONE)
        return yaml_fail(yaml_get(node, "smt"), loader->err,
                         "a group with pinning none runs on every hardware thread");
    for (size_t i = 0; i < group->gpu_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(group->gpus[i], group->gpus[j]) == 0)
                return yaml_fail(yaml_get(node, "gpus"), loader->err, "\"%s\" is given twice",
                                 group->gpus[i]);
        }
    }
    if (group->hang_ms != 0 && group->hang_ms < HANG_MS_MIN)
        return yaml_fail(yaml_get(node, "hang_ms"), loader->err,
                         "must be 0 or at least %d: an idle worker tells progress once a second",
                         HANG_MS_MIN);
    if (!group->workflows && !group->activities)
        return yaml_fail(node, loader->err,
                         "a group without workflows and without activities has nothing to do");
    if (group->kind == FLEET_GROUP_GPU && group->label_count < 2)
        return yaml_fail(labels, loader->err, "a choice needs at least two labels");
    if (group->kind == FLEET_GROUP_GPU && group->temperature <= 0)
        return yaml_fail(temperature, loader->err, "must be above 0");
    if (group->device == FLEET_DEVICE_CPU && group->precision == FLEET_PRECISION_FP16)
        return yaml_fail(yaml_get(node, "precision"), loader->err,
                         "device cpu computes in fp32 or bf16, not in fp16");
    return 0;
}

static int finish_factory(struct loader *loader)
{
    const struct yaml_node *node = yaml_get(loader->root, "factory");
    return fleet_factory_read(node, loader->arena, &loader->config->factory,
                              &loader->config->factory_count, loader->err);
}

static int check_codecs(struct loader *loader)
{
    const struct fleet_config *config = loader->config;
    const struct yaml_node *codecs = yaml_get(loader->root, "codecs");
    const struct yaml_node *node = codecs == NULL ? NULL : codecs->first;
    for (size_t i = 0; i < config->codec_count; i++, node = node->next) {
        if (strcmp(config->codecs[i].name, FLEET_CODEC_AES_GCM) == 0 &&
            config->codecs[i].key_file_count == 0)
            return yaml_fail(node, loader->err, "%s needs key_files", FLEET_CODEC_AES_GCM);
    }
    return 0;
}

static int finish(struct loader *loader)
{
    int code = default_node(loader);
    if (code == 0)
        code = default_folders(loader);
    if (code == 0)
        code = finish_engine(loader);
    if (code == 0)
        code = finish_storage(loader);
    if (code == 0)
        code = default_http(loader);
    if (code == 0)
        code = default_groups(loader);
    if (code == 0)
        code = check_codecs(loader);
    const struct fleet_config *config = loader->config;
    for (size_t i = 0; i < config->group_count && code == 0; i++)
        code = check_group(loader, &config->groups[i], group_node(loader, i));
    return code == 0 ? finish_factory(loader) : code;
}

/* The tree of one text. */
static int parse(struct loader *loader, const char *text, size_t size, const char *source_name,
                 const char *folder, struct fleet_tree *ret_tree)
{
    struct yaml_source *source = arena_calloc(loader->arena, 1, sizeof *source);
    if (source == NULL || (source->name = arena_strdup(loader->arena, source_name)) == NULL ||
        (source->folder = arena_strdup(loader->arena, folder)) == NULL)
        return fail_memory(loader);
    struct yaml_node *root;
    int code = yaml_parse(text, size, source, loader->arena, &root, loader->err);
    if (code != 0)
        return code;
    const struct yaml_node *include = yaml_get(root, "include");
    if (include != NULL)
        return yaml_fail(include, loader->err, "only a file can include others");
    *ret_tree = (struct fleet_tree){.root = root};
    return yaml_check(&fleet_schema, root, loader->problems, loader->err);
}

static int fill(struct loader *loader, const struct fleet_tree *tree)
{
    struct fleet_config *config = loader->config;
    fleet_schema_init_config(config);
    config->source = tree->root->source->name;
    config->files = tree->files;
    config->file_count = tree->file_count;
    config->tree = loader->root = tree->root;
    loader->folder = tree->root->source->folder;
    int code =
        yaml_bind(&fleet_schema, tree->root, loader->arena, config, loader->problems, loader->err);
    struct yaml_problems *problems = loader->problems;
    if (code == 0 && problems != NULL && problems->count > 0) {
        *loader->err = problems->first;
        code = problems->first.code;
    }
    if (code == 0)
        code = finish(loader);
    return code;
}

static const struct fleet_dev_options no_options;

static int create(struct loader *loader, const char *name)
{
    struct fleet_config_owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return error_set(loader->err, ERR_MEMORY, "%s: out of memory", name);
    arena_init(&owner->arena, CONFIG_MEMORY_MAX);
    loader->config = &owner->config;
    loader->arena = &owner->arena;
    return 0;
}

/* Gives the config away, or destroys it where code is not 0. */
static int give(struct loader *loader, int code, struct fleet_config **ret_config)
{
    if (code == 0)
        *ret_config = loader->config;
    else
        fleet_config_destroy(loader->config);
    return code;
}

static int load_text(struct loader *loader, const char *text, size_t size, const char *source,
                     const char *folder, struct fleet_config **ret_config)
{
    struct fleet_tree tree;
    int code = create(loader, source);
    if (code != 0)
        return code;
    code = parse(loader, text, size, source, folder, &tree);
    if (code == 0)
        code = fill(loader, &tree);
    return give(loader, code, ret_config);
}

/* Public functions */

int fleet_config_parse(const char *text, size_t size, const char *source, const char *folder,
                       const struct hardware *hardware, struct fleet_config **ret_config,
                       struct error *err)
{
    struct loader loader = {.hardware = hardware, .options = &no_options, .err = err};
    return load_text(&loader, text, size, source, folder, ret_config);
}

int fleet_config_default(const struct fleet_dev_options *options, const struct hardware *hardware,
                         struct fleet_config **ret_config, struct error *err)
{
    char folder[PATH_MAX];
    if (getcwd(folder, sizeof folder) == NULL)
        return error_set_errno(err, ERR_CONFIG, errno, "cannot find the current folder");
    struct fleet_dev_options chosen = options != NULL ? *options : no_options;
    const char *data_dir = getenv(ENV_DATA_DIR);
    if (chosen.data_dir == NULL && data_dir != NULL && data_dir[0] != '\0')
        chosen.data_dir = data_dir;
    struct loader loader = {.hardware = hardware, .options = &chosen, .is_dev = true, .err = err};
    return load_text(&loader, "", 0, "defaults", folder, ret_config);
}

int fleet_config_read(const struct fleet_config_request *request, struct fleet_config **ret_config,
                      struct error *err)
{
    const struct fleet_reader *reader =
        request->reader != NULL ? request->reader : &fleet_reader_files;
    struct loader loader = {.hardware = request->hardware,
                            .options = &no_options,
                            .problems = request->problems,
                            .err = err};
    struct fleet_tree tree;
    int code = create(&loader, request->path);
    if (code != 0)
        return code;
    code = fleet_include_read(reader, request->path, loader.arena, &tree, loader.problems, err);
    if (code == 0)
        code = fill(&loader, &tree);
    return give(&loader, code, ret_config);
}

int fleet_config_load_for(const char *path, const struct hardware *hardware,
                          struct fleet_config **ret_config, struct error *err)
{
    const struct fleet_config_request request = {.path = path, .hardware = hardware};
    return fleet_config_read(&request, ret_config, err);
}

int fleet_config_load(const char *path, struct fleet_config **ret_config, struct error *err)
{
    struct hardware hardware;
    hardware_detect("", &hardware);
    return fleet_config_load_for(path, &hardware, ret_config, err);
}

void fleet_config_destroy(struct fleet_config *config)
{
    if (config == NULL)
        return;
    struct fleet_config_owner *owner = (struct fleet_config_owner *)config;
    arena_fini(&owner->arena);
    free(owner);
}

void fleet_config_print(const struct fleet_config *config, struct buffer *out)
{
    yaml_print(&fleet_schema, config, false, out);
}

void fleet_config_print_public(const struct fleet_config *config, struct buffer *out)
{
    yaml_print(&fleet_schema, config, true, out);
}

int fleet_config_endpoint(const struct fleet_config *config, struct fleet_endpoint *ret_endpoint,
                          struct error *err)
{
    const struct fleet_engine *engine = &config->engine;
    return fleet_service_endpoint(config, "engine", engine->address, engine->server_public_key_file,
                                  engine->client_key_file, ret_endpoint, err);
}

int fleet_config_storage_endpoint(const struct fleet_config *config,
                                  struct fleet_endpoint *ret_endpoint, struct error *err)
{
    const struct fleet_storage *storage = &config->storage;
    if (!storage->enabled && storage->endpoint == NULL)
        return error_set(err, ERR_CONFIG,
                         "%s: no storage process: it runs neither here nor at a storage.endpoint",
                         config->source);
    return fleet_service_endpoint(config, "storage", storage->address,
                                  storage->server_public_key_file, storage->client_key_file,
                                  ret_endpoint, err);
}

const struct fleet_group *fleet_config_group(const struct fleet_config *config, const char *name)
{
    for (size_t i = 0; i < config->group_count; i++) {
        if (strcmp(config->groups[i].name, name) == 0)
            return &config->groups[i];
    }
    return NULL;
}

const struct fleet_queue *fleet_config_queue(const struct fleet_config *config, const char *name)
{
    for (size_t i = 0; i < config->queue_count; i++) {
        if (strcmp(config->queues[i].name, name) == 0)
            return &config->queues[i];
    }
    return NULL;
}

const struct fleet_workflow *fleet_config_workflow(const struct fleet_config *config,
                                                   const char *name)
{
    for (size_t i = 0; i < config->factory_count; i++) {
        if (strcmp(config->factory[i].name, name) == 0)
            return &config->factory[i];
    }
    return NULL;
}
