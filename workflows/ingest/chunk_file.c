/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_file: see chunk_file.h. */
#include "workflows/ingest/chunk_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chunk_reader {
    FILE *file;
    uint32_t count; /* lines read */
    json_t *object; /* of the line handed out last */
    char *metadata; /* likewise */
    char line[CHUNK_LINE_SIZE_MAX + 2];
};

static void hex_write(const uint8_t *bytes, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * size] = '\0';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *text, uint8_t *ret_bytes, size_t size)
{
    if (text == NULL || strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int chunk_record_write(FILE *file, const struct chunk_record *record, struct error *err)
{
    char hash[2 * VECTOR_HASH_SIZE + 1];
    hex_write(record->hash, sizeof record->hash, hash);
    json_t *object =
        json_pack("{s:s%, s:I, s:s, s:{s:I, s:s*}}", "text", record->text, record->size, "ordinal",
                  (json_int_t)record->ordinal, "hash", hash, "metadata", "offset",
                  (json_int_t)record->offset, "section", record->section);
    if (object == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int failed = json_dumpf(object, file, JSON_COMPACT);
    json_decref(object);
    if (failed != 0 || putc('\n', file) == EOF)
        return error_set_errno(err, ERR_IO, errno, "could not write the chunks");
    return 0;
}

int chunk_reader_open(int fd, struct chunk_reader **ret_reader, struct error *err)
{
    struct chunk_reader *reader = calloc(1, sizeof *reader);
    if (reader != NULL)
        reader->file = fdopen(fd, "r");
    if (reader == NULL || reader->file == NULL) {
        free(reader);
        close(fd);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    rewind(reader->file);
    *ret_reader = reader;
    return 0;
}

static void line_release(struct chunk_reader *reader)
{
    json_decref(reader->object);
    free(reader->metadata);
    reader->object = NULL;
    reader->metadata = NULL;
}

void chunk_reader_close(struct chunk_reader *reader)
{
    if (reader == NULL)
        return;
    line_release(reader);
    fclose(reader->file);
    free(reader);
}

static int line_wrong(const struct chunk_reader *reader, const char *what, struct error *err)
{
    return error_set(err, ERR_INVALID, "line %u of the chunks %s", reader->count + 1, what);
}

int chunk_reader_next(struct chunk_reader *reader, struct chunk_line *ret_line, struct error *err)
{
    line_release(reader);
    if (fgets(reader->line, sizeof reader->line, reader->file) == NULL) {
        if (ferror(reader->file))
            return error_set_errno(err, ERR_IO, errno, "could not read the chunks");
        *ret_line = (struct chunk_line){.ordinal = reader->count};
        return 0;
    }
    size_t size = strlen(reader->line);
    if (size == 0 || reader->line[size - 1] != '\n')
        return line_wrong(reader, "is too long or cut off", err);
    reader->object = json_loadb(reader->line, size, 0, NULL);
    const json_t *text = json_object_get(reader->object, "text");
    const json_t *ordinal = json_object_get(reader->object, "ordinal");
    const json_t *metadata = json_object_get(reader->object, "metadata");
    struct chunk_line line = {.line = reader->line, .line_size = size, .ordinal = reader->count};
    if (!json_is_string(text) || json_string_length(text) > VECTOR_TEXT_SIZE_MAX ||
        json_integer_value(ordinal) != reader->count || !json_is_object(metadata) ||
        !hex_read(json_string_value(json_object_get(reader->object, "hash")), line.hash,
                  sizeof line.hash))
        return line_wrong(reader, "is not a chunk", err);
    reader->metadata = json_dumps(metadata, JSON_COMPACT);
    if (reader->metadata == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    line.text = json_string_value(text);
    line.text_size = json_string_length(text);
    line.metadata = reader->metadata;
    reader->count++;
    *ret_line = line;
    return 0;
}
