/* SPDX-License-Identifier: Apache-2.0 */
/* The file of measured choices (tuning.h): its text, its lock, and writing it whole. */
#include "kernels/cuda/tuning.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_LINE "argosy-tuning 1\n"
#define OWN          "own"
#define HEX_DIGITS   16u /* of 64 bits */
#define WORDS        8u  /* of an algorithm */
#define PATH_BYTES   4096u

static const char *const precision_names[] = {
    [DEVICE_FP32] = "fp32", [DEVICE_FP16] = "fp16", [DEVICE_BF16] = "bf16"};
#define PRECISIONS (sizeof(precision_names) / sizeof(precision_names[0]))

/* ---- text to table ---- */

/* What is left of one line. */
struct cursor {
    const char *at;
    const char *end;
};

static uint64_t text_hash(const char *text, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

/* The field before the next space, which is passed over; empty where there is none. */
static struct cursor field_take(struct cursor *line)
{
    struct cursor field = {line->at, line->at};
    const char *space = memchr(line->at, ' ', (size_t)(line->end - line->at));

    if (space) {
        field.end = space;
        line->at = space + 1;
    }
    return field;
}

static bool field_is(struct cursor field, const char *word)
{
    size_t size = (size_t)(field.end - field.at);

    return size == strlen(word) && memcmp(field.at, word, size) == 0;
}

/* Decimal, without sign or leading zeros, at most max. */
static bool number_read(struct cursor field, uint32_t max, uint32_t *ret_number)
{
    uint64_t number = 0;

    if (field.at == field.end || field.end - field.at > 10 ||
        (*field.at == '0' && field.end - field.at > 1))
        return false;
    for (; field.at < field.end; field.at++) {
        if (*field.at < '0' || *field.at > '9')
            return false;
        number = number * 10 + (uint64_t)(*field.at - '0');
    }
    *ret_number = (uint32_t)number;
    return number <= max;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool words_read(struct cursor field, uint64_t *words, uint32_t count)
{
    if ((size_t)(field.end - field.at) != (size_t)count * HEX_DIGITS)
        return false;
    for (uint32_t i = 0; i < count * HEX_DIGITS; i++) {
        int digit = hex_digit(field.at[i]);
        if (digit < 0)
            return false;
        words[i / HEX_DIGITS] = words[i / HEX_DIGITS] << 4 | (uint64_t)digit;
    }
    return true;
}

static bool precision_read(struct cursor field, enum device_precision *ret_precision)
{
    for (uint32_t i = 0; i < PRECISIONS; i++)
        if (field_is(field, precision_names[i])) {
            *ret_precision = (enum device_precision)i;
            return true;
        }
    return false;
}

static bool name_read(struct cursor rest, char *to, size_t size)
{
    size_t length = (size_t)(rest.end - rest.at);

    if (length == 0 || length >= size)
        return false;
    for (size_t i = 0; i < length; i++)
        if (rest.at[i] < ' ' || rest.at[i] > '~')
            return false;
    memcpy(to, rest.at, length);
    to[length] = '\0';
    return true;
}

static bool entry_read(struct cursor line, struct tuning_entry *ret_entry)
{
    struct tuning_entry entry = {0};
    struct tuning_key *key = &entry.key;
    uint64_t sum = 0;
    uint32_t has_bias = 0;

    if (!words_read(field_take(&line), &sum, 1) ||
        sum != text_hash(line.at, (size_t)(line.end - line.at)))
        return false;
    if (!precision_read(field_take(&line), &key->precision) ||
        !number_read(field_take(&line), DEVICE_WIDTH_MAX, &key->out_width) ||
        !number_read(field_take(&line), DEVICE_WIDTH_MAX, &key->in_width) ||
        !number_read(field_take(&line), 1, &has_bias) ||
        !number_read(field_take(&line), UINT32_MAX, &key->driver) ||
        !number_read(field_take(&line), UINT32_MAX, &key->library))
        return false;
    key->has_bias = has_bias == 1;
    struct cursor algorithm = field_take(&line);
    entry.choice.is_own = field_is(algorithm, OWN);
    if (!entry.choice.is_own && !words_read(algorithm, entry.choice.algorithm, WORDS))
        return false;
    if (key->out_width == 0 || key->in_width == 0 ||
        !name_read(line, key->device, sizeof(key->device)))
        return false;
    *ret_entry = entry;
    return true;
}

int tuning_parse(const char *text, size_t size, struct tuning_table *ret_table, char *message,
                 size_t message_size)
{
    size_t version_length = strlen(VERSION_LINE);
    struct cursor rest = {text, text + size};

    ret_table->count = 0;
    if (size < version_length || memcmp(text, VERSION_LINE, version_length) != 0) {
        snprintf(message, message_size, "its first line is not \"%.*s\"", (int)version_length - 1,
                 VERSION_LINE);
        return KERNEL_BAD_ARGUMENT;
    }
    rest.at += version_length;
    while (rest.at < rest.end) {
        const char *newline = memchr(rest.at, '\n', (size_t)(rest.end - rest.at));
        if (ret_table->count == TUNING_ENTRIES_MAX || !newline ||
            !entry_read((struct cursor){rest.at, newline}, &ret_table->entries[ret_table->count])) {
            snprintf(message, message_size, "line %u is damaged or one too many",
                     ret_table->count + 2);
            return KERNEL_BAD_ARGUMENT;
        }
        ret_table->count++;
        rest.at = newline + 1;
    }
    return KERNEL_OK;
}

/* ---- table to text ---- */

static size_t entry_format(const struct tuning_entry *entry, char *to)
{
    const struct tuning_key *key = &entry->key;
    char algorithm[WORDS * HEX_DIGITS + 1] = OWN, line[TUNING_LINE_MAX + 1];

    for (uint32_t i = 0; i < WORDS && !entry->choice.is_own; i++)
        snprintf(algorithm + i * HEX_DIGITS, HEX_DIGITS + 1, "%016" PRIx64,
                 entry->choice.algorithm[i]);
    int length = snprintf(line, sizeof(line), "%s %u %u %d %u %u %s %s",
                          precision_names[key->precision], key->out_width, key->in_width,
                          key->has_bias, key->driver, key->library, algorithm, key->device);
    uint64_t sum = text_hash(line, (size_t)length);
    length = snprintf(to, TUNING_LINE_MAX + 1, "%016" PRIx64 " %s\n", sum, line);
    return (size_t)length;
}

size_t tuning_format(const struct tuning_table *table, char *to)
{
    size_t size = strlen(VERSION_LINE);
    char line[TUNING_LINE_MAX + 1];

    memcpy(to, VERSION_LINE, size);
    for (uint32_t i = 0; i < table->count; i++) {
        size_t length = entry_format(&table->entries[i], line);
        memcpy(to + size, line, length);
        size += length;
    }
    return size;
}

/* ---- the table ---- */

static bool is_same_key(const struct tuning_key *a, const struct tuning_key *b)
{
    return a->out_width == b->out_width && a->in_width == b->in_width &&
           a->precision == b->precision && a->has_bias == b->has_bias && a->driver == b->driver &&
           a->library == b->library && strcmp(a->device, b->device) == 0;
}

const struct tuning_choice *tuning_find(const struct tuning_table *table,
                                        const struct tuning_key *key)
{
    for (uint32_t i = table->count; i > 0; i--)
        if (is_same_key(&table->entries[i - 1].key, key))
            return &table->entries[i - 1].choice;
    return NULL;
}

static void entry_remove(struct tuning_table *table, uint32_t index)
{
    table->count--;
    memmove(&table->entries[index], &table->entries[index + 1],
            (table->count - index) * sizeof(table->entries[0]));
}

void tuning_put(struct tuning_table *table, const struct tuning_key *key,
                const struct tuning_choice *choice)
{
    for (uint32_t i = table->count; i > 0; i--)
        if (is_same_key(&table->entries[i - 1].key, key))
            entry_remove(table, i - 1);
    if (table->count == TUNING_ENTRIES_MAX)
        entry_remove(table, 0);
    table->entries[table->count++] = (struct tuning_entry){.key = *key, .choice = *choice};
}

/* ---- the file ---- */

struct tuning {
    char path[PATH_BYTES];
    char path_new[PATH_BYTES + sizeof(".new")];
    char path_lock[PATH_BYTES + sizeof(".lock")];
    pthread_mutex_t mutex; /* among threads; the lock file is among processes */
    int lock;              /* -1 while not locked */
    struct tuning_table table;
    char text[TUNING_FILE_BYTES_MAX + 1]; /* while reading and writing */
};

static int file_refuse(int status, const char *path, const char *why, char *message,
                       size_t message_size)
{
    snprintf(message, message_size, "tuning file %s: %s", path, why);
    return status;
}

/* Up to size bytes; returns how many, or -1 with errno. */
static ssize_t bytes_read(int file, char *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(file, to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static bool bytes_write(int file, const char *from, size_t size)
{
    while (size > 0) {
        ssize_t n = write(file, from, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

static int table_read(struct tuning *tuning, char *message, size_t message_size)
{
    /* Not to wait for the writer of a pipe; a regular file is read all the same. */
    int file = open(tuning->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char why[96];

    tuning->table.count = 0;
    if (file < 0 && errno == ENOENT)
        return KERNEL_OK;
    if (file < 0)
        return file_refuse(KERNEL_SYSTEM, tuning->path, strerror(errno), message, message_size);
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return file_refuse(KERNEL_BAD_ARGUMENT, tuning->path, "not a regular file", message,
                           message_size);
    }
    ssize_t size = bytes_read(file, tuning->text, sizeof(tuning->text));
    int code = errno;
    close(file);
    if (size < 0)
        return file_refuse(KERNEL_SYSTEM, tuning->path, strerror(code), message, message_size);
    if ((size_t)size > TUNING_FILE_BYTES_MAX) {
        snprintf(why, sizeof(why), "longer than %u bytes", TUNING_FILE_BYTES_MAX);
        return file_refuse(KERNEL_BAD_ARGUMENT, tuning->path, why, message, message_size);
    }
    int r = tuning_parse(tuning->text, (size_t)size, &tuning->table, why, sizeof(why));
    if (r < 0)
        return file_refuse(r, tuning->path, why, message, message_size);
    return KERNEL_OK;
}

int tuning_lock(struct tuning *tuning, char *message, size_t message_size)
{
    int r;

    pthread_mutex_lock(&tuning->mutex);
    tuning->lock = open(tuning->path_lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    r = tuning->lock < 0 ? -1 : 0;
    while (r == 0 && (r = flock(tuning->lock, LOCK_EX)) < 0 && errno == EINTR)
        r = 0;
    if (r < 0)
        r = file_refuse(KERNEL_SYSTEM, tuning->path_lock, strerror(errno), message, message_size);
    else
        r = table_read(tuning, message, message_size);
    if (r < 0)
        tuning_unlock(tuning);
    return r;
}

void tuning_unlock(struct tuning *tuning)
{
    if (tuning->lock >= 0) {
        flock(tuning->lock, LOCK_UN); /* a child forked meanwhile has it open, too */
        close(tuning->lock);
    }
    tuning->lock = -1;
    pthread_mutex_unlock(&tuning->mutex);
}

struct tuning_table *tuning_table(struct tuning *tuning)
{
    return &tuning->table;
}

int tuning_save(struct tuning *tuning, char *message, size_t message_size)
{
    size_t size = tuning_format(&tuning->table, tuning->text);
    int file = open(tuning->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool is_done = file >= 0 && bytes_write(file, tuning->text, size) && fsync(file) == 0;
    int code = errno;

    if (file >= 0 && close(file) < 0 && is_done) {
        is_done = false;
        code = errno;
    }
    if (is_done && rename(tuning->path_new, tuning->path) < 0) {
        is_done = false;
        code = errno;
    }
    if (is_done)
        return KERNEL_OK;
    if (file >= 0)
        unlink(tuning->path_new);
    return file_refuse(KERNEL_SYSTEM, tuning->path_new, strerror(code), message, message_size);
}

int tuning_open(const char *path, struct tuning **ret_tuning, char *message, size_t message_size)
{
    struct tuning *tuning;
    int r;

    if (path[0] == '\0' || strlen(path) >= PATH_BYTES)
        return file_refuse(KERNEL_BAD_ARGUMENT, path, "not a path", message, message_size);
    tuning = calloc(1, sizeof(*tuning));
    if (!tuning)
        return KERNEL_NO_MEMORY;
    pthread_mutex_init(&tuning->mutex, NULL);
    tuning->lock = -1;
    strcpy(tuning->path, path);
    snprintf(tuning->path_new, sizeof(tuning->path_new), "%s.new", tuning->path);
    snprintf(tuning->path_lock, sizeof(tuning->path_lock), "%s.lock", tuning->path);
    r = tuning_lock(tuning, message, message_size);
    if (r < 0) {
        tuning_close(tuning);
        return r;
    }
    tuning_unlock(tuning);
    *ret_tuning = tuning;
    return KERNEL_OK;
}

void tuning_close(struct tuning *tuning)
{
    if (!tuning)
        return;
    pthread_mutex_destroy(&tuning->mutex);
    free(tuning);
}
