/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: files and folders of models: read whole, written whole, put in place by rename.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_MODELS_FILE_H
#define ARGOSY_MODELS_FILE_H

#include <stddef.h>

#include "common/error.h"

/* Reads a regular file of at most size_max bytes and puts a NUL after it. The caller frees
 * *ret_text. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT when it is larger, ERR_MEMORY. */
int file_read(const char *path, size_t size_max, char **ret_text, size_t *ret_size,
              struct error *err);

/* Writes a file that must not exist and makes its content durable. ERR_IO. */
int file_write(const char *path, const void *data, size_t size, struct error *err);

/* SHA-256 of a file, as 64 hexadecimal digits. ERR_NOT_FOUND, ERR_IO. */
#define FILE_SHA256_TEXT 65
int file_sha256(const char *path, char ret_text[FILE_SHA256_TEXT], struct error *err);

/* Creates a folder and those above it that are missing. ERR_IO. */
int folder_create(const char *path, struct error *err);

/* Removes a folder and what is in it; what cannot be removed stays. */
void folder_remove(const char *path);

/* Bytes of all regular files under a folder; 0 when there is none. */
unsigned long long folder_size(const char *path);

/* Creates an empty folder ".<name>.<random>" beside path, where the folder that will be path is
 * written first; those above are created too. PATH_MAX bytes go to ret_draft. ERR_INVALID for a
 * path that is too long, ERR_IO. */
int folder_draft(const char *path, char *ret_draft, struct error *err);

/* Makes a finished folder durable and renames it to path. ERR_EXISTS when path is there already,
 * ERR_IO. */
int folder_publish(const char *finished, const char *path, struct error *err);

#endif
