/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_record: what the GPU health helper tells the supervisor (docs/spec/04-supervision.md, section
 * "GPU health"): fixed-size records on a sequenced-packet socket pair, whose helper end is named by
 * ARGOSY_GPU_FD. The supervisor believes a record's form only after gpu_record_read.
 *
 * A record tells either all figures of one GPU or MIG slice, or of one thing that befell a GPU.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_GPU_RECORD_H
#define ARGOSY_SUPERVISOR_GPU_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hardware.h"

#define GPU_ENV_FD "ARGOSY_GPU_FD"

/* A GPU that is not cut into slices, or all of one that is. */
#define GPU_INSTANCE_NONE UINT32_MAX

/* Which GPU, or which slice of it. What is not known is empty, -1 or GPU_INSTANCE_NONE. */
struct gpu_identity {
    char uuid[sizeof((struct hardware_gpu *)0)->uuid];     /* a slice's own: "MIG-..." */
    char bus_id[sizeof((struct hardware_gpu *)0)->bus_id]; /* of the GPU, as hardware_gpu's */
    int32_t minor;                                         /* of the GPU: /dev/nvidia<minor> */
    uint32_t gpu_instance;
    uint32_t compute_instance;
};

/* What is measured of a GPU. The order is that of gpu_figure_rows. */
enum gpu_figure {
    GPU_FIGURE_UTILIZATION,   /* percent of the last sample period with a kernel on the GPU */
    GPU_FIGURE_MEMORY_USED,   /* bytes */
    GPU_FIGURE_MEMORY_TOTAL,  /* bytes */
    GPU_FIGURE_TEMPERATURE,   /* degrees Celsius; so are the next two */
    GPU_FIGURE_SLOWDOWN,      /* from here on its hardware slows down */
    GPU_FIGURE_SHUTDOWN,      /* and from here on it turns itself off */
    GPU_FIGURE_POWER,         /* milliwatts */
    GPU_FIGURE_THROTTLE,      /* bits, GPU_THROTTLE_... */
    GPU_FIGURE_ECC_VOLATILE,  /* uncorrected errors since the driver was loaded */
    GPU_FIGURE_ECC_AGGREGATE, /* and in its life */
    GPU_FIGURE_ROWS_REMAPPED, /* rows of memory replaced by spare ones */
    GPU_FIGURE_ROW_PENDING,   /* 1: a replacement waits for a reset of the GPU */
    GPU_FIGURE_ROW_FAILURE,   /* 1: a row could not be replaced */
};
#define GPU_FIGURE_COUNT 13

/* Why its clocks are lower than asked for, as NVML numbers it; other bits are harmless. */
#define GPU_THROTTLE_HARDWARE    0x08u
#define GPU_THROTTLE_SOFT_HEAT   0x20u
#define GPU_THROTTLE_HARD_HEAT   0x40u
#define GPU_THROTTLE_POWER_BRAKE 0x80u

enum gpu_event {
    GPU_EVENT_XID = 1,    /* the driver reported an error */
    GPU_EVENT_ECC_DOUBLE, /* memory errors that could not be corrected */
    GPU_EVENT_ECC_SINGLE, /* one that was */
    GPU_EVENT_LOST,       /* it does not answer on its bus any more */
    GPU_EVENT_RESET,      /* it works again only after a reset */
};

enum gpu_record_kind { GPU_RECORD_FIGURES = 1, GPU_RECORD_EVENT };

struct gpu_record {
    uint32_t kind;                      /* enum gpu_record_kind */
    uint32_t event;                     /* enum gpu_event; 0 in figures */
    uint64_t xid;                       /* of GPU_EVENT_XID */
    uint64_t known;                     /* which figures it has: a bit each, by their number */
    uint64_t figures[GPU_FIGURE_COUNT]; /* 0 where not known */
    struct gpu_identity identity;
};

/* Copies what was received into *ret_record; false when it is no record of this build. */
bool gpu_record_read(const void *data, size_t size, struct gpu_record *ret_record);

/* Notes a figure. */
void gpu_record_set(struct gpu_record *record, enum gpu_figure figure, uint64_t value);

/* A bus id as NVML writes it ("00000000:3B:00.0") in the form of hardware_gpu ("0000:3b:00.0"). */
void gpu_bus_id_copy(const char *text, char *out, size_t size);

#endif
