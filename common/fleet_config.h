/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_config: the one configuration of a node, read by every program of the fleet
 * (docs/spec/04-supervision.md, section "Configuration").
 *
 * A YAML file is checked key by key; every error names the file, line and key, and the nearest
 * known key. `${NAME}` and `${NAME:-default}` in a value stand for environment variables, `$$` for
 * a dollar sign. Relative paths are relative to the file's folder. What the file leaves out is
 * filled from the hardware and from the defaults named below, here and nowhere else: readers of the
 * struct find every field set. The supervisor writes this effective configuration to
 * <data_dir>/fleet.effective.yaml and starts its children with that file, so that all see the same.
 *
 * Threading: a loaded config is never changed; any thread may read it. It owns all its strings.
 */
#ifndef ARGOSY_COMMON_FLEET_CONFIG_H
#define ARGOSY_COMMON_FLEET_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/fleet_factory.h"
#include "common/hardware.h"
#include "common/log.h"

#define FLEET_QUEUE_CPU     "cpu-queue"
#define FLEET_QUEUE_GPU     "gpu-queue"
#define FLEET_QUEUE_STORAGE "storage-queue"
#define FLEET_MODEL_DEFAULT "all-MiniLM-L6-v2"
#define FLEET_CODEC_ZSTD    "zstd"
#define FLEET_CODEC_AES_GCM "aes-gcm"
/* NVIDIA has named some 170 errors of its driver so far. */
#define FLEET_XID_MAX       1023
#define FLEET_EFFECTIVE     "fleet.effective.yaml"
#define FLEET_GROUPS_MAX    64
#define FLEET_PROCESSES_MAX 1024 /* of a group */

enum fleet_store { FLEET_STORE_SQLITE, FLEET_STORE_MEMORY };
enum fleet_group_kind { FLEET_GROUP_CPU, FLEET_GROUP_GPU };

/* What a gpu group computes on. AUTO: CUDA where there is a usable device, else the CPU device; the
 * worker says which. */
enum fleet_device { FLEET_DEVICE_AUTO, FLEET_DEVICE_CUDA, FLEET_DEVICE_CPU };

/* In what a gpu group computes. AUTO: fp16 on CUDA, fp32 on the CPU device. */
enum fleet_precision {
    FLEET_PRECISION_AUTO,
    FLEET_PRECISION_FP32,
    FLEET_PRECISION_FP16,
    FLEET_PRECISION_BF16,
};

/* How worker processes are bound: to cores of their own, to the cores of an L3 cache or of a NUMA
 * node, not at all. */
enum fleet_pinning {
    FLEET_PINNING_CORE,
    FLEET_PINNING_L3,
    FLEET_PINNING_NUMA,
    FLEET_PINNING_NONE,
};

/* Which hardware threads of its cores a process runs on: all, or one of each core. */
enum fleet_smt { FLEET_SMT_SHARE, FLEET_SMT_AVOID };

struct fleet_engine {
    enum fleet_store store;    /* default sqlite: <data_dir>/engine.db */
    const char *const *listen; /* ZeroMQ addresses; default one, ipc://<data_dir>/engine.sock */
    size_t listen_count;       /* 0 when the engine runs elsewhere */
    const char *endpoint;      /* address of an engine that runs elsewhere; NULL: it runs here */
    const char *address;       /* where this config's processes connect; NULL: tcp port 0 only */
    bool insecure;             /* a loopback tcp listener without CURVE is wanted */
    int lease_ms;              /* a session silent for this long is lost; default 10,000 */
    int reclaim_ms;            /* after a restart sessions may reclaim tasks; default 5,000 */
    int commit_hold_us;        /* a commit waits this long for an expected answer; default 1,000 */
    /* CURVE key files; NULL when not set. A tcp address needs those of its side. */
    const char *server_key_file;        /* engine: its key pair */
    const char *authorized_keys_dir;    /* engine: public keys of the clients let in */
    const char *server_public_key_file; /* clients: the engine's public key */
    const char *client_key_file;        /* clients: their own key pair */
};

/* The process that owns artifacts, vectors and registered models. */
struct fleet_storage {
    bool enabled;              /* runs on this node; default: where the engine does */
    const char *const *listen; /* default one, ipc://<data_dir>/storage.sock */
    size_t listen_count;
    const char *endpoint; /* address of one that runs elsewhere; excludes enabled */
    const char *address;  /* where this config's processes connect; NULL: there is none */
    bool insecure;        /* as the engine's, so are the four key files */
    const char *server_key_file;
    const char *authorized_keys_dir;
    const char *server_public_key_file;
    const char *client_key_file;
    const char *vectors;               /* "sqlite", or a postgres:// URL without a password */
    const char *vectors_password_file; /* or NULL: libpq's own ways (PGPASSWORD, PGPASSFILE) */
    int memory_mb;                     /* most memory for vectors; default 1,024 */
    int cache_mb;            /* most disk for the node's cache of artifacts; default 10,240 */
    int artifact_keep_hours; /* artifacts nobody owns stay for this long; default 24 */
};

/* HTTP of the node's link: metrics, probes, what autoscalers ask for. */
struct fleet_http {
    const char *listen; /* numeric host:port, or "none"; default: the environment's
                           ARGOSY_HTTP_LISTEN, else 127.0.0.1:9464, without a file a free port */
};

/* Who watches the node's NVIDIA GPUs, and what their trouble means. */
struct fleet_gpu_health {
    bool enabled;                   /* default true; without GPUs nobody is started */
    const char *library;            /* NVML: a name or an absolute path; libnvidia-ml.so.1 */
    int interval_ms;                /* between two looks at the figures; default 5,000 */
    int hang_ms;                    /* a driver that does not answer for this long; 30,000 */
    int temperature_max;            /* degrees Celsius; hotter GPUs are drained; 0: none */
    const char *const *ignore_xids; /* errors that are applications' own, too; 1 to FLEET_XID_MAX */
    size_t ignore_xid_count;
    const char *const *fatal_xids; /* errors that drain a GPU, too */
    size_t fatal_xid_count;
};

/* The control group the supervisor is in, if it was given to it; no control groups. */
#define FLEET_CGROUP_AUTO "auto"
#define FLEET_CGROUP_NONE "none"

/* What concerns the supervisor itself. */
struct fleet_supervisor {
    struct fleet_gpu_health gpu_health;
    int log_keep_mb;    /* most disk for last lines of dead processes; default 16 */
    int core_keep_mb;   /* most disk for their core dumps; default 0: none are made */
    const char *cgroup; /* what is divided among workers: FLEET_CGROUP_*, or a folder */
};

struct fleet_queue {
    const char *name;
    int max_in_flight; /* tasks at once over the whole fleet; 0: no bound */
};

struct fleet_group_queue {
    const char *name;
    int slots; /* tasks at once per process; default 16 (cpu), 64 (gpu) */
};

/* One zero-shot class: texts are compared with prompt, results carry name. */
struct fleet_label {
    const char *name;
    const char *prompt;
};

struct fleet_variable {
    const char *name;
    const char *value;
};

struct fleet_group {
    const char *name;
    enum fleet_group_kind kind;
    int processes; /* default: hardware_cpu_workers, or processes_per_gpu for each GPU */
    struct fleet_group_queue *queues; /* at least one; default fleet_schema.h's */
    size_t queue_count;
    bool workflows;             /* runs workflow tasks of its queues; default true for cpu */
    bool activities;            /* runs activities of its queues; default true */
    const char *const *plugins; /* .so files, absolute */
    size_t plugin_count;
    struct fleet_variable *environment; /* set for its processes */
    size_t environment_count;
    enum fleet_pinning pinning; /* default core */
    enum fleet_smt smt;         /* default share */
    int grace_ms;               /* time to drain before it is killed; default 10,000 */
    int max_unavailable;        /* of its processes, in a rolling restart; default 1 */
    int hang_ms;   /* no progress for this long: killed, replaced; 0: never; default 30,000 */
    int memory_mb; /* most memory of each process, MiB; 0: no limit; default 0 */

    /* gpu groups only */
    enum fleet_device device;
    enum fleet_precision precision; /* default auto */
    const char *tuning_file;        /* absolute; kernels/device.h; NULL: nothing is measured */
    const char *const *gpus; /* gpu_name.h's names of those it runs on; none: all there are */
    size_t gpu_count;
    int processes_per_gpu; /* default 1 */
    int mps_percentage;    /* of a GPU's threads for one process; default 100 / processes_per_gpu */
    const char *model;     /* a folder of <data_dir>/models */
    int batch_tokens;      /* most tokens of one packed batch; default 16,384 */
    int batch_delay_us;    /* longest wait for a fuller batch; default 2,000 */
    struct fleet_label *labels; /* default positive, negative, neutral */
    size_t label_count;
    double temperature; /* of the softmax over the labels' cosines; default 0.05 */
};

/* What payloads go through in workers and in the command line: in this order on their way out. */
struct fleet_codec {
    const char *name;             /* "zstd" or "aes-gcm" */
    const char *const *key_files; /* aes-gcm: at least one, absolute; the first one encrypts */
    size_t key_file_count;
    int level;    /* zstd: 1 to 19; default 3 */
    int min_size; /* zstd: smaller payloads are left alone, bytes; default 256 */
};

struct fleet_config {
    const char *source;   /* file it was read from, or "defaults" */
    const char *node;     /* default: host name */
    const char *data_dir; /* absolute; default .argosy beside the file, or in the current folder */
    const char *models_dir; /* <data_dir>/models, or the environment's ARGOSY_MODEL_DIR */
    enum log_level log_level;
    enum log_format log_format;
    struct fleet_engine engine;
    struct fleet_storage storage;
    struct fleet_http http;
    struct fleet_supervisor supervisor;
    struct fleet_queue *queues; /* bounds by queue; queues without one are not listed */
    size_t queue_count;
    struct fleet_codec *codecs; /* in order; none by default */
    size_t codec_count;
    struct fleet_group *groups;
    size_t group_count;
    struct fleet_workflow *factory; /* the built-in entries and the file's */
    size_t factory_count;
    /* for people: what was read */
    const char *const *files; /* source and what it includes; none of defaults */
    size_t file_count;
    const struct yaml_node *tree; /* all files as one, as they are written */
};

struct fleet_reader;

/* What is to be read and how. */
struct fleet_config_request {
    const char *path;
    const struct hardware *hardware;   /* what defaults are computed from */
    const struct fleet_reader *reader; /* where files come from; NULL: the file system */
    struct yaml_problems *problems;    /* NULL: stop at the first error */
};

/* What `argosy dev` may change of the defaults; a zeroed struct changes nothing. */
struct fleet_dev_options {
    const char *data_dir;
    const char *model;
    int cpu_workers;
    enum fleet_device device;
};

/* Reads and checks a file, with defaults from this machine. ERR_NOT_FOUND when there is no such
 * file, ERR_CONFIG for what is wrong in it. fleet_config_destroy frees the result. */
int fleet_config_load(const char *path, struct fleet_config **ret_config, struct error *err);

/* The same with the defaults of the machine that hardware describes. */
int fleet_config_load_for(const char *path, const struct hardware *hardware,
                          struct fleet_config **ret_config, struct error *err);

/* The same in full. With problems, which are then yaml_problems_fini's, and err not NULL, every
 * error that the table of keys finds is noted in them, and err is the first one. */
int fleet_config_read(const struct fleet_config_request *request, struct fleet_config **ret_config,
                      struct error *err);

/* The same from memory, where nothing can be included: source names the text in errors, folder is
 * what relative paths start from. Reads the environment; no other side effect. */
int fleet_config_parse(const char *text, size_t size, const char *source, const char *folder,
                       const struct hardware *hardware, struct fleet_config **ret_config,
                       struct error *err);

/* What runs without a file: an engine, CPU workers, and one GPU worker per CUDA device or one on
 * the CPU device. options may be NULL; without its data_dir ARGOSY_DATA_DIR counts, as for clients.
 */
int fleet_config_default(const struct fleet_dev_options *options, const struct hardware *hardware,
                         struct fleet_config **ret_config, struct error *err);

/* Accepts NULL. */
void fleet_config_destroy(struct fleet_config *config);

/* Appends the effective configuration as YAML that loads to an equal config. */
void fleet_config_print(const struct fleet_config *config, struct buffer *out);

/* The same for people: values that may be secrets (those of `environment`) read "(hidden)". */
void fleet_config_print_public(const struct fleet_config *config, struct buffer *out);

/* The group, queue or factory entry of that name, NULL when there is none. Borrowed. */
const struct fleet_group *fleet_config_group(const struct fleet_config *config, const char *name);
const struct fleet_queue *fleet_config_queue(const struct fleet_config *config, const char *name);
const struct fleet_workflow *fleet_config_workflow(const struct fleet_config *config,
                                                   const char *name);

/* How a client, worker or link reaches the engine of this config. Strings are borrowed from it;
 * the key files are NULL for ipc and for insecure loopback addresses. */
struct fleet_endpoint {
    const char *address; /* "ipc:///..." or "tcp://..." */
    const char *server_public_key_file;
    const char *client_key_file;
};

/* ERR_CONFIG when the config names no address that can be connected to (tcp port 0). */
int fleet_config_endpoint(const struct fleet_config *config, struct fleet_endpoint *ret_endpoint,
                          struct error *err);

/* The same for the storage process. ERR_CONFIG also where the config has none. */
int fleet_config_storage_endpoint(const struct fleet_config *config,
                                  struct fleet_endpoint *ret_endpoint, struct error *err);

/* The words of the enums, as in the file ("sqlite", "gpu", "auto", "core"). */
const char *fleet_store_name(enum fleet_store store);
const char *fleet_group_kind_name(enum fleet_group_kind kind);
const char *fleet_device_name(enum fleet_device device);
const char *fleet_precision_name(enum fleet_precision precision);
const char *fleet_pinning_name(enum fleet_pinning pinning);
const char *fleet_smt_name(enum fleet_smt smt);

#endif
