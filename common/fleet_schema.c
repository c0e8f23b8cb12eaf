/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_schema: see fleet_schema.h. Each table is in the order in which the file is printed; rows
 * that decide whether others apply come before them. */
#include "common/fleet_schema.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/child.h"
#include "common/fleet_change.h"
#include "common/gpu_name.h"
#include "common/http_address.h"
#include "common/limits.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const store_words[] = {"sqlite", "memory", NULL};
static const char *const kind_words[] = {"cpu", "gpu", NULL};
static const char *const device_words[] = {"auto", "cuda", "cpu", NULL};
static const char *const precision_words[] = {"auto", "fp32", "fp16", "bf16", NULL};
static const char *const pinning_words[] = {"core", "l3", "numa", "none", NULL};
static const char *const smt_words[] = {"share", "avoid", NULL};
static const char *const codec_words[] = {FLEET_CODEC_ZSTD, FLEET_CODEC_AES_GCM, NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_words[] = {"logfmt", "json", NULL};

_Static_assert(sizeof(enum fleet_store) == sizeof(int), "a choice is stored as an int");
_Static_assert(LOG_LEVEL_ERROR == 3 && LOG_FORMAT_JSON == 1, "words are in the enum's order");

/* Checks of names */

const char *fleet_schema_check_name(const char *text)
{
    size_t length = strlen(text);
    if (length > CHILD_NODE_MAX)
        return "is longer than 64 characters";
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL)
            return "may have letters, digits, \"-\", \"_\" and \".\" only";
    }
    return isalnum((unsigned char)text[0]) ? NULL : "must begin with a letter or digit";
}

static const char *check_group_name(const char *text)
{
    static const char *const reserved[] = {"engine", "gpu-health", "link", "storage", "supervisor"};
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if (strcmp(text, reserved[i]) == 0)
            return "is the name of a process of the fleet's own";
    }
    return fleet_schema_check_name(text);
}

static const char *check_line(const char *text)
{
    size_t length = strlen(text);
    if (length > LIMIT_ID_LENGTH)
        return "is longer than 1000 bytes";
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)text[i]))
            return "has a control character";
    }
    return NULL;
}

static const char *check_http_listen(const char *text)
{
    struct sockaddr_storage address;
    socklen_t length;
    if (http_address_is_none(text) || http_address_parse(text, &address, &length))
        return NULL;
    return "is no address (none, 127.0.0.1:9464, 0.0.0.0:9464, [::]:9464)";
}

static const char *check_cgroup(const char *text)
{
    bool is_known = strcmp(text, FLEET_CGROUP_AUTO) == 0 || strcmp(text, FLEET_CGROUP_NONE) == 0;
    return is_known || text[0] == '/' ? NULL : "is neither auto, none nor an absolute path";
}

static const char *check_variable_name(const char *text)
{
    if (isdigit((unsigned char)text[0]))
        return "begins with a digit";
    for (const char *at = text; *at != '\0'; at++) {
        if (*at != '_' && !isalnum((unsigned char)*at))
            return "may have letters, digits and \"_\" only";
    }
    return NULL;
}

static const char *check_vectors(const char *text)
{
    if (strcmp(text, "sqlite") == 0)
        return NULL;
    const char *rest = strncmp(text, "postgres://", 11) == 0     ? text + 11
                       : strncmp(text, "postgresql://", 13) == 0 ? text + 13
                                                                 : NULL;
    if (rest == NULL)
        return "is neither sqlite nor a postgres:// address";
    /* The config is copied, printed and logged; user:password@host, ?password=. */
    size_t user_size = strcspn(rest, "@/?");
    bool has_password = rest[user_size] == '@' && memchr(rest, ':', user_size) != NULL;
    return has_password || strstr(rest, "password=") != NULL
               ? "has a password in it (use vectors_password_file, or the environment's PGPASSWORD)"
               : NULL;
}

static const char *excuse_sqlite(const void *object)
{
    const struct fleet_storage *storage = object;
    return strcmp(storage->vectors, "sqlite") == 0 ? "only a postgres:// address has this key"
                                                   : NULL;
}

static const char *check_xid(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    bool is_number = digits > 0 && digits <= 4 && text[digits] == '\0';
    return is_number && atoi(text) >= 1 && atoi(text) <= FLEET_XID_MAX
               ? NULL
               : "is no Xid (a number from 1 to 1023)";
}

static const char *excuse_zstd(const void *object)
{
    const struct fleet_codec *codec = object;
    bool is_zstd = strcmp(codec->name, FLEET_CODEC_ZSTD) == 0;
    return is_zstd ? "only codec " FLEET_CODEC_AES_GCM " has this key" : NULL;
}

static const char *excuse_aes_gcm(const void *object)
{
    const struct fleet_codec *codec = object;
    bool is_aes_gcm = strcmp(codec->name, FLEET_CODEC_AES_GCM) == 0;
    return is_aes_gcm ? "only codec " FLEET_CODEC_ZSTD " has this key" : NULL;
}

static const char *excuse_gpu_group(const void *object)
{
    const struct fleet_group *group = object;
    return group->kind == FLEET_GROUP_GPU ? "only groups of kind cpu have this key" : NULL;
}

static const char *excuse_cpu_group(const void *object)
{
    const struct fleet_group *group = object;
    return group->kind == FLEET_GROUP_CPU ? "only groups of kind gpu have this key" : NULL;
}

static const char *excuse_cpu_device(const void *object)
{
    const struct fleet_group *group = object;
    if (group->kind == FLEET_GROUP_GPU && group->device == FLEET_DEVICE_CPU)
        return "a group on device cpu uses no GPU";
    return excuse_cpu_group(object);
}

/* Tables */

#define AT(type, field)       .offset = offsetof(struct type, field)
#define COUNT_AT(type, field) .count_offset = offsetof(struct type, field)

/* What a change of the key takes in a running fleet (fleet_change.h). Every row has it but maps,
 * the names that elements of lists are known by, and include. */
#define TAKES(what) .change = FLEET_TAKES_##what
#define CONNECTED                                                                                  \
    (FLEET_TAKES_STORAGE_RESTART | FLEET_TAKES_LINK_RESTART | FLEET_TAKES_GROUP_RESTART)
#define EVERYONE (FLEET_TAKES_ENGINE_RESTART | CONNECTED)

static const struct yaml_field engine_fields[] = {
    {"store", YAML_TYPE_CHOICE, AT(fleet_engine, store), .words = store_words, TAKES(STOP)},
    {"listen", YAML_TYPE_TEXTS, AT(fleet_engine, listen), COUNT_AT(fleet_engine, listen_count),
     TAKES(ENGINE_RESTART)},
    {"endpoint", YAML_TYPE_TEXT, AT(fleet_engine, endpoint), .change = CONNECTED},
    {"insecure", YAML_TYPE_BOOL, AT(fleet_engine, insecure), TAKES(ENGINE_RESTART)},
    {"server_key_file", YAML_TYPE_PATH, AT(fleet_engine, server_key_file), TAKES(ENGINE_RESTART)},
    {"authorized_keys_dir", YAML_TYPE_PATH, AT(fleet_engine, authorized_keys_dir),
     TAKES(ENGINE_RESTART)},
    {"server_public_key_file", YAML_TYPE_PATH, AT(fleet_engine, server_public_key_file),
     .change = CONNECTED},
    {"client_key_file", YAML_TYPE_PATH, AT(fleet_engine, client_key_file), .change = CONNECTED},
    {"lease_ms", YAML_TYPE_INT, AT(fleet_engine, lease_ms), .min = 100, .max = 600000,
     TAKES(ENGINE_RESTART)},
    {"reclaim_ms", YAML_TYPE_INT, AT(fleet_engine, reclaim_ms), .min = 0, .max = 600000,
     TAKES(ENGINE_RESTART)},
    {"commit_hold_us", YAML_TYPE_INT, AT(fleet_engine, commit_hold_us), .min = 0, .max = 100000,
     TAKES(ENGINE_RESTART)},
};
static const struct yaml_schema engine_schema = {engine_fields, COUNT(engine_fields),
                                                 sizeof(struct fleet_engine), NULL};

static const struct yaml_field storage_fields[] = {
    {"enabled", YAML_TYPE_BOOL, AT(fleet_storage, enabled), TAKES(STOP)},
    {"listen", YAML_TYPE_TEXTS, AT(fleet_storage, listen), COUNT_AT(fleet_storage, listen_count),
     TAKES(STORAGE_RESTART)},
    {"endpoint", YAML_TYPE_TEXT, AT(fleet_storage, endpoint), TAKES(GROUP_RESTART)},
    {"insecure", YAML_TYPE_BOOL, AT(fleet_storage, insecure), TAKES(STORAGE_RESTART)},
    {"server_key_file", YAML_TYPE_PATH, AT(fleet_storage, server_key_file), TAKES(STORAGE_RESTART)},
    {"authorized_keys_dir", YAML_TYPE_PATH, AT(fleet_storage, authorized_keys_dir),
     TAKES(STORAGE_RESTART)},
    {"server_public_key_file", YAML_TYPE_PATH, AT(fleet_storage, server_public_key_file),
     TAKES(GROUP_RESTART)},
    {"client_key_file", YAML_TYPE_PATH, AT(fleet_storage, client_key_file), TAKES(GROUP_RESTART)},
    {"vectors", YAML_TYPE_TEXT, AT(fleet_storage, vectors), .check = check_vectors,
     .is_private = true, TAKES(STORAGE_RESTART)},
    {"vectors_password_file", YAML_TYPE_PATH, AT(fleet_storage, vectors_password_file),
     .excuse = excuse_sqlite, TAKES(STORAGE_RESTART)},
    {"memory_mb", YAML_TYPE_INT, AT(fleet_storage, memory_mb), .min = 16, .max = 16777216,
     TAKES(STORAGE_RESTART)},
    {"cache_mb", YAML_TYPE_INT, AT(fleet_storage, cache_mb), .min = 0, .max = 1073741824,
     TAKES(GROUP_RESTART)},
    {"artifact_keep_hours", YAML_TYPE_INT, AT(fleet_storage, artifact_keep_hours), .min = 0,
     .max = 876000, TAKES(STORAGE_RESTART)},
};
static const struct yaml_schema storage_schema = {storage_fields, COUNT(storage_fields),
                                                  sizeof(struct fleet_storage), NULL};

static const struct yaml_field http_fields[] = {
    {"listen", YAML_TYPE_TEXT, AT(fleet_http, listen), .check = check_http_listen, TAKES(STOP)},
};
static const struct yaml_schema http_schema = {http_fields, COUNT(http_fields),
                                               sizeof(struct fleet_http), NULL};

static const struct yaml_field gpu_health_fields[] = {
    {"enabled", YAML_TYPE_BOOL, AT(fleet_gpu_health, enabled), TAKES(SUPERVISOR)},
    {"library", YAML_TYPE_TEXT, AT(fleet_gpu_health, library), TAKES(SUPERVISOR)},
    {"interval_ms", YAML_TYPE_INT, AT(fleet_gpu_health, interval_ms), .min = 100, .max = 600000,
     TAKES(SUPERVISOR)},
    {"hang_ms", YAML_TYPE_INT, AT(fleet_gpu_health, hang_ms), .min = 3000, .max = 3600000,
     TAKES(SUPERVISOR)},
    {"temperature_max", YAML_TYPE_INT, AT(fleet_gpu_health, temperature_max), .min = 0, .max = 200,
     TAKES(SUPERVISOR)},
    {"ignore_xids", YAML_TYPE_TEXTS, AT(fleet_gpu_health, ignore_xids),
     COUNT_AT(fleet_gpu_health, ignore_xid_count), .check = check_xid, TAKES(SUPERVISOR)},
    {"fatal_xids", YAML_TYPE_TEXTS, AT(fleet_gpu_health, fatal_xids),
     COUNT_AT(fleet_gpu_health, fatal_xid_count), .check = check_xid, TAKES(SUPERVISOR)},
};
static const struct yaml_schema gpu_health_schema = {gpu_health_fields, COUNT(gpu_health_fields),
                                                     sizeof(struct fleet_gpu_health), NULL};

static const struct yaml_field supervisor_fields[] = {
    {"gpu_health", YAML_TYPE_MAP, AT(fleet_supervisor, gpu_health), .schema = &gpu_health_schema},
    {"log_keep_mb", YAML_TYPE_INT, AT(fleet_supervisor, log_keep_mb), .min = 1, .max = 1048576,
     TAKES(SUPERVISOR)},
    {"core_keep_mb", YAML_TYPE_INT, AT(fleet_supervisor, core_keep_mb), .min = 0, .max = 1073741824,
     TAKES(SUPERVISOR)},
    {"cgroup", YAML_TYPE_TEXT, AT(fleet_supervisor, cgroup), .check = check_cgroup, TAKES(STOP)},
};
static const struct yaml_schema supervisor_schema = {supervisor_fields, COUNT(supervisor_fields),
                                                     sizeof(struct fleet_supervisor), NULL};

static const struct yaml_field queue_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_queue, name), .is_required = true, .check = check_line},
    {"max_in_flight", YAML_TYPE_INT, AT(fleet_queue, max_in_flight), .min = 0, .max = 1000000,
     TAKES(ENGINE_LIVE)},
};
static const struct yaml_schema queue_schema = {queue_fields, COUNT(queue_fields),
                                                sizeof(struct fleet_queue), NULL};

static const struct yaml_field codec_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_codec, name), .is_required = true, .words = codec_words},
    {"key_files", YAML_TYPE_PATHS, AT(fleet_codec, key_files),
     COUNT_AT(fleet_codec, key_file_count), .excuse = excuse_zstd, TAKES(GROUP_RESTART)},
    {"level", YAML_TYPE_INT, AT(fleet_codec, level), .min = 1, .max = 19, .excuse = excuse_aes_gcm,
     TAKES(GROUP_RESTART)},
    {"min_size", YAML_TYPE_INT, AT(fleet_codec, min_size), .min = 1, .max = 1048576,
     .excuse = excuse_aes_gcm, TAKES(GROUP_RESTART)},
};

static void init_codec(void *object, const struct yaml_node *node)
{
    (void)node;
    *(struct fleet_codec *)object = (struct fleet_codec){.name = "", .level = 3, .min_size = 256};
}

static const struct yaml_schema codec_schema = {codec_fields, COUNT(codec_fields),
                                                sizeof(struct fleet_codec), init_codec};

static const struct yaml_field group_queue_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_group_queue, name), .is_required = true, .check = check_line},
    {"slots", YAML_TYPE_INT, AT(fleet_group_queue, slots), .min = 1, .max = 4096,
     TAKES(GROUP_LIVE)},
};

static void init_group_queue(void *object, const struct yaml_node *node);
static const struct yaml_schema group_queue_schema = {group_queue_fields, COUNT(group_queue_fields),
                                                      sizeof(struct fleet_group_queue),
                                                      init_group_queue};

static const struct yaml_field label_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_label, name), .is_required = true, .check = check_line},
    {"prompt", YAML_TYPE_TEXT, AT(fleet_label, prompt), .is_required = true, TAKES(GROUP_RESTART)},
};
static const struct yaml_schema label_schema = {label_fields, COUNT(label_fields),
                                                sizeof(struct fleet_label), NULL};

static const struct yaml_field variable_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_variable, name), .is_required = true,
     .check = check_variable_name},
    {"value", YAML_TYPE_TEXT, AT(fleet_variable, value), .is_required = true, .may_be_empty = true,
     .is_secret = true, TAKES(GROUP_RESTART)},
};
static const struct yaml_schema variable_schema = {variable_fields, COUNT(variable_fields),
                                                   sizeof(struct fleet_variable), NULL};

static const struct yaml_field group_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_group, name), .is_required = true, .check = check_group_name},
    {"kind", YAML_TYPE_CHOICE, AT(fleet_group, kind), .is_required = true, .words = kind_words,
     TAKES(GROUP_RESTART)},
    {"processes", YAML_TYPE_INT, AT(fleet_group, processes), .min = 0, .max = FLEET_PROCESSES_MAX,
     TAKES(GROUP_LIVE)},
    {"queues", YAML_TYPE_LIST, AT(fleet_group, queues), COUNT_AT(fleet_group, queue_count),
     .max = 64, .schema = &group_queue_schema, TAKES(GROUP_RESTART)},
    {"workflows", YAML_TYPE_BOOL, AT(fleet_group, workflows), .excuse = excuse_gpu_group,
     TAKES(GROUP_RESTART)},
    {"activities", YAML_TYPE_BOOL, AT(fleet_group, activities), .excuse = excuse_gpu_group,
     TAKES(GROUP_RESTART)},
    {"plugins", YAML_TYPE_PATHS, AT(fleet_group, plugins), COUNT_AT(fleet_group, plugin_count),
     TAKES(GROUP_RESTART)},
    {"environment", YAML_TYPE_LIST, AT(fleet_group, environment),
     COUNT_AT(fleet_group, environment_count), .max = 256, .schema = &variable_schema,
     TAKES(GROUP_RESTART)},
    {"pinning", YAML_TYPE_CHOICE, AT(fleet_group, pinning), .words = pinning_words,
     TAKES(GROUP_LIVE)},
    {"smt", YAML_TYPE_CHOICE, AT(fleet_group, smt), .words = smt_words, TAKES(GROUP_LIVE)},
    {"grace_ms", YAML_TYPE_INT, AT(fleet_group, grace_ms), .min = 0, .max = 3600000,
     TAKES(GROUP_LIVE)},
    {"hang_ms", YAML_TYPE_INT, AT(fleet_group, hang_ms), .min = 0, .max = 3600000,
     TAKES(GROUP_LIVE)},
    {"memory_mb", YAML_TYPE_INT, AT(fleet_group, memory_mb), .min = 0, .max = 16777216,
     TAKES(GROUP_LIVE)},
    {"max_unavailable", YAML_TYPE_INT, AT(fleet_group, max_unavailable), .min = 1,
     .max = FLEET_PROCESSES_MAX, TAKES(GROUP_LIVE)},
    {"device", YAML_TYPE_CHOICE, AT(fleet_group, device), .words = device_words,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"precision", YAML_TYPE_CHOICE, AT(fleet_group, precision), .words = precision_words,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"tuning_file", YAML_TYPE_PATH, AT(fleet_group, tuning_file), .excuse = excuse_cpu_device,
     TAKES(GROUP_RESTART)},
    {"gpus", YAML_TYPE_TEXTS, AT(fleet_group, gpus), COUNT_AT(fleet_group, gpu_count),
     .check = gpu_name_check, .excuse = excuse_cpu_device, TAKES(GROUP_RESTART)},
    {"processes_per_gpu", YAML_TYPE_INT, AT(fleet_group, processes_per_gpu), .min = 1,
     .max = HARDWARE_GPU_SHARE_MAX, .excuse = excuse_cpu_device, TAKES(GROUP_RESTART)},
    {"mps_percentage", YAML_TYPE_INT, AT(fleet_group, mps_percentage), .min = 1, .max = 100,
     .excuse = excuse_cpu_device, TAKES(GROUP_RESTART)},
    {"model", YAML_TYPE_TEXT, AT(fleet_group, model), .check = fleet_schema_check_name,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"batch_tokens", YAML_TYPE_INT, AT(fleet_group, batch_tokens), .min = 512, .max = 1048576,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"batch_delay_us", YAML_TYPE_INT, AT(fleet_group, batch_delay_us), .min = 0, .max = 1000000,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"labels", YAML_TYPE_LIST, .is_ordered = true, AT(fleet_group, labels),
     COUNT_AT(fleet_group, label_count), .max = 256, .schema = &label_schema,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
    {"temperature", YAML_TYPE_NUMBER, AT(fleet_group, temperature), .min = 0, .max = 1000,
     .excuse = excuse_cpu_group, TAKES(GROUP_RESTART)},
};

static void init_group(void *object, const struct yaml_node *node);
static const struct yaml_schema group_schema = {group_fields, COUNT(group_fields),
                                                sizeof(struct fleet_group), init_group};

static const struct yaml_field fleet_fields[] = {
    {.key = "include", .type = YAML_TYPE_SPENT},
    {"node", YAML_TYPE_TEXT, AT(fleet_config, node), .check = fleet_schema_check_name, TAKES(STOP)},
    {"data_dir", YAML_TYPE_PATH, AT(fleet_config, data_dir), TAKES(STOP)},
    {"models_dir", YAML_TYPE_PATH, AT(fleet_config, models_dir), TAKES(GPU_RESTART)},
    {"log_level", YAML_TYPE_CHOICE, AT(fleet_config, log_level), .words = level_words,
     .change = FLEET_TAKES_ENGINE_LIVE | FLEET_TAKES_STORAGE_RESTART | FLEET_TAKES_LINK_RESTART |
               FLEET_TAKES_GROUP_LIVE},
    {"log_format", YAML_TYPE_CHOICE, AT(fleet_config, log_format), .words = format_words,
     .change = EVERYONE},
    {"engine", YAML_TYPE_MAP, AT(fleet_config, engine), .schema = &engine_schema},
    {"storage", YAML_TYPE_MAP, AT(fleet_config, storage), .schema = &storage_schema},
    {"http", YAML_TYPE_MAP, AT(fleet_config, http), .schema = &http_schema},
    {"supervisor", YAML_TYPE_MAP, AT(fleet_config, supervisor), .schema = &supervisor_schema},
    {"queues", YAML_TYPE_LIST, AT(fleet_config, queues), COUNT_AT(fleet_config, queue_count),
     .max = 1024, .schema = &queue_schema, TAKES(ENGINE_LIVE)},
    {"codecs", YAML_TYPE_LIST, .is_ordered = true, AT(fleet_config, codecs),
     COUNT_AT(fleet_config, codec_count), .max = 8, .schema = &codec_schema, TAKES(GROUP_RESTART)},
    {"groups", YAML_TYPE_LIST, AT(fleet_config, groups), COUNT_AT(fleet_config, group_count),
     .max = FLEET_GROUPS_MAX, .schema = &group_schema, TAKES(SUPERVISOR)},
    {"factory", YAML_TYPE_LIST, AT(fleet_config, factory), COUNT_AT(fleet_config, factory_count),
     .max = 1024, .schema = &fleet_workflow_schema, TAKES(NOTHING)},
};
const struct yaml_schema fleet_schema = {fleet_fields, COUNT(fleet_fields),
                                         sizeof(struct fleet_config), NULL};

/* Defaults */

int fleet_schema_slots(enum fleet_group_kind kind)
{
    /* A CPU process runs activities on threads; a GPU process only holds tasks for its batches. */
    return kind == FLEET_GROUP_CPU ? 16 : 64;
}

void fleet_schema_init_config(struct fleet_config *config)
{
    *config = (struct fleet_config){
        .log_level = LOG_LEVEL_INFO,
        .log_format = LOG_FORMAT_LOGFMT,
        .engine = {.lease_ms = 10000, .reclaim_ms = 5000, .commit_hold_us = 1000},
        .storage = {.vectors = "sqlite",
                    .memory_mb = 1024,
                    .cache_mb = 10240,
                    .artifact_keep_hours = 24},
        .supervisor = {.log_keep_mb = 16,
                       .cgroup = FLEET_CGROUP_AUTO,
                       .gpu_health = {.enabled = true,
                                      .library = "libnvidia-ml.so.1",
                                      .interval_ms = 5000,
                                      .hang_ms = 30000}},
    };
}

void fleet_schema_init_group(struct fleet_group *group, enum fleet_group_kind kind)
{
    *group = (struct fleet_group){
        .kind = kind,
        .processes = FLEET_PROCESSES_UNSET,
        .workflows = kind == FLEET_GROUP_CPU,
        .activities = true,
        .pinning = FLEET_PINNING_CORE,
        .grace_ms = 10000,
        .hang_ms = 30000,
        .max_unavailable = 1,
        .device = FLEET_DEVICE_AUTO,
        .precision = FLEET_PRECISION_AUTO,
        .processes_per_gpu = 1,
        .batch_tokens = 16384,
        .batch_delay_us = 2000,
        .temperature = 0.05,
    };
    if (kind == FLEET_GROUP_GPU)
        group->model = FLEET_MODEL_DEFAULT;
}

/* The kind that a group's node asks for; a wrong word is reported when its key is bound. */
static enum fleet_group_kind read_kind(const struct yaml_node *node)
{
    const struct yaml_node *kind = yaml_get(node, "kind");
    bool is_gpu = kind != NULL && kind->kind == YAML_TEXT && strcmp(kind->text, "gpu") == 0;
    return is_gpu ? FLEET_GROUP_GPU : FLEET_GROUP_CPU;
}

static void init_group(void *object, const struct yaml_node *node)
{
    fleet_schema_init_group(object, read_kind(node));
}

static void init_group_queue(void *object, const struct yaml_node *node)
{
    struct fleet_group_queue *queue = object;
    const struct yaml_node *group = node->parent->parent;
    queue->slots = fleet_schema_slots(read_kind(group));
}

const char *fleet_store_name(enum fleet_store store)
{
    return store_words[store];
}

const char *fleet_group_kind_name(enum fleet_group_kind kind)
{
    return kind_words[kind];
}

const char *fleet_device_name(enum fleet_device device)
{
    return device_words[device];
}

const char *fleet_precision_name(enum fleet_precision precision)
{
    return precision_words[precision];
}

const char *fleet_pinning_name(enum fleet_pinning pinning)
{
    return pinning_words[pinning];
}

const char *fleet_smt_name(enum fleet_smt smt)
{
    return smt_words[smt];
}
