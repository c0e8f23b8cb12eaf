/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack_reader: see msgpack_reader.h. */
#include "api/msgpack_reader.h"

#include <string.h>

/* The bytes after the first that hold an item's number or size. */
static bool read_be(struct msgpack_reader *reader, size_t width, uint64_t *ret_value)
{
    if ((size_t)(reader->end - reader->at) < width)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | reader->at[i];
    reader->at += width;
    *ret_value = value;
    return true;
}

static bool read_unsigned(struct msgpack_reader *reader, size_t width, struct msgpack_item *item)
{
    item->type = MSGPACK_UNSIGNED;
    return read_be(reader, width, &item->number);
}

static bool read_signed(struct msgpack_reader *reader, size_t width, struct msgpack_item *item)
{
    uint64_t bits;
    if (!read_be(reader, width, &bits))
        return false;
    unsigned shift = 64 - 8 * (unsigned)width;
    int64_t value = (int64_t)(bits << shift) >> shift;
    if (value < 0) {
        item->type = MSGPACK_NEGATIVE;
        item->negative = value;
    } else {
        item->type = MSGPACK_UNSIGNED;
        item->number = (uint64_t)value;
    }
    return true;
}

static bool read_float(struct msgpack_reader *reader, size_t width, struct msgpack_item *item)
{
    uint64_t bits;
    if (!read_be(reader, width, &bits))
        return false;
    item->type = MSGPACK_FLOAT;
    if (width == 4) {
        uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        item->real = (double)value;
    } else {
        memcpy(&item->real, &bits, sizeof item->real);
    }
    return true;
}

/* An ext item has a type byte between its size and its data; it is skipped. */
static bool read_bytes(struct msgpack_reader *reader, enum msgpack_type type, uint64_t size,
                       struct msgpack_item *item)
{
    if (type == MSGPACK_EXT) {
        if (reader->at == reader->end)
            return false;
        reader->at++;
    }
    if ((uint64_t)(reader->end - reader->at) < size)
        return false;
    item->type = type;
    item->bytes.data = reader->at;
    item->bytes.size = (uint32_t)size;
    reader->at += size;
    return true;
}

static bool read_sized(struct msgpack_reader *reader, enum msgpack_type type, size_t width,
                       struct msgpack_item *item)
{
    uint64_t size;
    return read_be(reader, width, &size) && read_bytes(reader, type, size, item);
}

static bool read_container(struct msgpack_reader *reader, enum msgpack_type type, uint64_t count,
                           struct msgpack_item *item)
{
    uint64_t bytes_min = type == MSGPACK_MAP ? 2 * count : count;
    if ((uint64_t)(reader->end - reader->at) < bytes_min)
        return false;
    item->type = type;
    item->count = (uint32_t)count;
    return true;
}

static bool read_counted(struct msgpack_reader *reader, enum msgpack_type type, size_t width,
                         struct msgpack_item *item)
{
    uint64_t count;
    return read_be(reader, width, &count) && read_container(reader, type, count, item);
}

static bool read_bool(bool value, struct msgpack_item *item)
{
    item->type = MSGPACK_BOOL;
    item->boolean = value;
    return true;
}

static bool read_after(struct msgpack_reader *reader, uint8_t first, struct msgpack_item *item)
{
    if (first <= 0x7f) {
        item->type = MSGPACK_UNSIGNED;
        item->number = first;
        return true;
    }
    if (first >= 0xe0) {
        item->type = MSGPACK_NEGATIVE;
        item->negative = (int8_t)first;
        return true;
    }
    if (first <= 0x8f)
        return read_container(reader, MSGPACK_MAP, first & 0x0f, item);
    if (first <= 0x9f)
        return read_container(reader, MSGPACK_ARRAY, first & 0x0f, item);
    if (first <= 0xbf)
        return read_bytes(reader, MSGPACK_STR, first & 0x1f, item);
    switch (first) {
    case 0xc0:
        item->type = MSGPACK_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        return read_bool(first == 0xc3, item);
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return read_sized(reader, MSGPACK_BIN, (size_t)1 << (first - 0xc4), item);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return read_sized(reader, MSGPACK_EXT, (size_t)1 << (first - 0xc7), item);
    case 0xca:
    case 0xcb:
        return read_float(reader, first == 0xca ? 4 : 8, item);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_unsigned(reader, (size_t)1 << (first - 0xcc), item);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_signed(reader, (size_t)1 << (first - 0xd0), item);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return read_bytes(reader, MSGPACK_EXT, UINT64_C(1) << (first - 0xd4), item);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_sized(reader, MSGPACK_STR, (size_t)1 << (first - 0xd9), item);
    case 0xdc:
    case 0xdd:
        return read_counted(reader, MSGPACK_ARRAY, first == 0xdc ? 2 : 4, item);
    case 0xde:
    case 0xdf:
        return read_counted(reader, MSGPACK_MAP, first == 0xde ? 2 : 4, item);
    default: /* 0xc1 is never used */
        return false;
    }
}

bool msgpack_read(struct msgpack_reader *reader, struct msgpack_item *ret_item)
{
    if (reader->at == reader->end)
        return false;
    /* Read in place: copying an item that was written a moment ago, in parts, stalls. */
    const uint8_t *start = reader->at++;
    bool is_read = read_after(reader, *start, ret_item);
    if (!is_read)
        reader->at = start;
    return is_read;
}

bool msgpack_skip(struct msgpack_reader *reader)
{
    struct msgpack_reader after = *reader;
    /* Cannot overflow: every item takes a byte, and a count is at most the bytes left. */
    uint64_t items_left = 1;
    while (items_left > 0) {
        struct msgpack_item item;
        if (!msgpack_read(&after, &item))
            return false;
        items_left--;
        if (item.type == MSGPACK_ARRAY)
            items_left += item.count;
        else if (item.type == MSGPACK_MAP)
            items_left += 2 * (uint64_t)item.count;
    }
    *reader = after;
    return true;
}

const char *msgpack_type_name(enum msgpack_type type)
{
    static const char *const names[] = {
        [MSGPACK_NIL] = "nil",          [MSGPACK_BOOL] = "bool",
        [MSGPACK_UNSIGNED] = "integer", [MSGPACK_NEGATIVE] = "negative integer",
        [MSGPACK_FLOAT] = "float",      [MSGPACK_STR] = "str",
        [MSGPACK_BIN] = "bin",          [MSGPACK_EXT] = "ext",
        [MSGPACK_ARRAY] = "array",      [MSGPACK_MAP] = "map",
    };
    return names[type];
}
