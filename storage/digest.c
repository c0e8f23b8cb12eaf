/* SPDX-License-Identifier: Apache-2.0 */
/* digest: see digest.h. */
#include "storage/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/utf8.h"

#define ID_PREFIX "sha256:"

/* One read: large enough that the system call does not show, small enough for any cache. */
#define READ_SIZE ((size_t)256 * 1024)

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool digest_of_hex(const char *hex, struct digest *ret_digest)
{
    struct digest digest;
    if (strlen(hex) != 2 * DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = digit_value(hex[2 * i]);
        int low = digit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_digest = digest;
    return true;
}

int digest_of_id(const char *id, struct digest *ret_digest, struct error *err)
{
    size_t prefix = strlen(ID_PREFIX);
    if (id == NULL || strncmp(id, ID_PREFIX, prefix) != 0 ||
        !digest_of_hex(id + prefix, ret_digest))
        return error_set(err, ERR_INVALID,
                         "\"%.80s\" is no artifact (sha256: and 64 lower-case hexadecimal digits)",
                         id != NULL ? id : "");
    return 0;
}

int artifact_id_check(const char *id, struct error *err)
{
    struct digest digest;
    return digest_of_id(id, &digest, err);
}

const char *digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[2 * DIGEST_SIZE] = '\0';
    return out;
}

const char *digest_to_id(const struct digest *digest, char out[ARTIFACT_ID_SIZE])
{
    memcpy(out, ID_PREFIX, strlen(ID_PREFIX));
    digest_to_hex(digest, out + strlen(ID_PREFIX));
    return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

struct digest digest_of_hasher(struct hasher *hasher)
{
    struct digest digest;
    hasher_finish(hasher, digest.bytes);
    return digest;
}

static int add_file(struct hasher *hasher, int fd, uint64_t size, uint8_t *bytes, struct error *err)
{
    uint64_t offset = 0;
    while (offset < size) {
        size_t wanted = size - offset < READ_SIZE ? (size_t)(size - offset) : READ_SIZE;
        ssize_t count = pread(fd, bytes, wanted, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, ERR_IO, errno, "could not read a file");
        if (count == 0)
            return error_set(err, ERR_IO, "a file is shorter than it was");
        hasher_add(hasher, bytes, (size_t)count);
        offset += (uint64_t)count;
    }
    return 0;
}

int digest_add_file(struct hasher *hasher, int fd, uint64_t size, struct error *err)
{
    uint8_t *bytes = malloc(READ_SIZE);
    if (bytes == NULL)
        return error_set(err, ERR_MEMORY, "no memory to read a file");
    int code = add_file(hasher, fd, size, bytes, err);
    free(bytes);
    return code;
}

int artifact_owner_check(const char *owner, struct error *err)
{
    static const char *const kinds[] = {"workflow:", "model:", "pin:"};
    const char *name = NULL;
    for (size_t i = 0; owner != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(owner, kinds[i], strlen(kinds[i])) == 0)
            name = owner + strlen(kinds[i]);
    }
    if (name == NULL || *name == '\0')
        return error_set(err, ERR_INVALID,
                         "\"%.80s\" is no owner (workflow:ID, model:NAME@VERSION or pin:NAME)",
                         owner != NULL ? owner : "");
    if (strlen(owner) > ARTIFACT_OWNER_MAX)
        return error_set(err, ERR_INVALID, "an owner has more than %d bytes", ARTIFACT_OWNER_MAX);
    for (const char *at = name; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return error_set(err, ERR_INVALID, "an owner has a control character");
    }
    if (!utf8_is_valid(owner, strlen(owner)))
        return error_set(err, ERR_INVALID, "an owner is not UTF-8");
    return 0;
}
