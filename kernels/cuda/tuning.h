/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of measured choices: which algorithm multiplies by a weight of one shape, on one model
 * of device with one driver and one version of cuBLASLt. Plain C without CUDA.
 *
 * Text, a version line and then one choice per line, fields separated by one space, the device's
 * name (which may have spaces) last; sum is the FNV-1a hash of what follows it on its line:
 *
 *   argosy-tuning 1
 *   <sum> <precision> <out> <in> <bias> <driver> <library> <algorithm> <device>
 *   ... fp16 1152 384 1 13000 130002 <own, or cuBLASLt's 64 bytes in hex> NVIDIA H200
 *
 * Choices of other devices, drivers and versions stand beside each other and are kept. The file is
 * outside data: bounded, checked line by line, refused with words where it is not as above.
 *
 * Several processes may share it. Whoever measures holds the lock (<path>.lock) from reading to
 * writing, so that nobody measures twice and what is in the file is what its processes use. It is
 * replaced whole, by rename.
 *
 * Threading: a struct tuning may be used by any thread; between tuning_lock and tuning_unlock it
 * belongs to one. Errors: enum kernel_status, and a sentence in message.
 */
#ifndef KERNELS_CUDA_TUNING_H
#define KERNELS_CUDA_TUNING_H

#include "kernels/device.h"

#define TUNING_ENTRIES_MAX    1024u
#define TUNING_LINE_MAX       336u /* 16 + 4 + 5 + 5 + 1 + 10 + 10 + 128 + 127, spaces, newline */
#define TUNING_FILE_BYTES_MAX ((TUNING_ENTRIES_MAX + 1) * TUNING_LINE_MAX)

/* What a choice holds for. */
struct tuning_key {
    char device[128];
    uint32_t driver;
    uint32_t library;
    enum device_precision precision;
    uint32_t out_width;
    uint32_t in_width;
    bool has_bias;
};

struct tuning_choice {
    bool is_own;           /* the kernel of gemm.cu; otherwise: */
    uint64_t algorithm[8]; /* cuBLASLt's, as it gives and takes it */
};

struct tuning_entry {
    struct tuning_key key;
    struct tuning_choice choice;
};

struct tuning_table {
    uint32_t count;
    struct tuning_entry entries[TUNING_ENTRIES_MAX]; /* the oldest first */
};

/* What a file's text says. BAD_ARGUMENT, with the line in the message, where it is not a tuning
 * file; ret_table is then half filled. */
int tuning_parse(const char *text, size_t size, struct tuning_table *ret_table, char *message,
                 size_t message_size);
/* The text of a table. Returns its length; to has TUNING_FILE_BYTES_MAX bytes and is not
 * terminated. */
size_t tuning_format(const struct tuning_table *table, char *to);

/* NULL where there is none; the last one put counts. */
const struct tuning_choice *tuning_find(const struct tuning_table *table,
                                        const struct tuning_key *key);
/* Replaces the key's choice or adds it; the oldest entry goes where the table is full. */
void tuning_put(struct tuning_table *table, const struct tuning_key *key,
                const struct tuning_choice *choice);

struct tuning; /* a file, and what it said when it was last locked */

/* Reads the file; one that does not exist is empty. BAD_ARGUMENT: not a tuning file, too long, or
 * not a file; SYSTEM: cannot be read, or its lock not be taken; NO_MEMORY. */
int tuning_open(const char *path, struct tuning **ret_tuning, char *message, size_t message_size);
void tuning_close(struct tuning *tuning); /* accepts NULL */

/* Waits for whoever has the file, and reads it anew. Errors: as tuning_open; not locked then. */
int tuning_lock(struct tuning *tuning, char *message, size_t message_size);
void tuning_unlock(struct tuning *tuning);

/* While locked: what the file says, to be changed and saved. SYSTEM where it cannot be written; the
 * file is then as it was. */
struct tuning_table *tuning_table(struct tuning *tuning);
int tuning_save(struct tuning *tuning, char *message, size_t message_size);

#endif
