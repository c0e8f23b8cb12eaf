/* SPDX-License-Identifier: Apache-2.0 */
/* codec_key: see codec_key.h and include/argosy/codec.h. */
#include "sdk/codec_key.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/secret_file.h"
#include "sdk/error.h"

#define LINE_SIZE      256
#define FILE_LINES_MAX 64
/* Random: ids collide by chance at some 2^32 keys. */
#define ID_BYTES 8

static bool is_key_id(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length >= ARGOSY_CODEC_KEY_ID_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL)
            return false;
    }
    return true;
}

/* ---- reading ---- */

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool read_secret(const char *text, uint8_t secret[AES_GCM_KEY_SIZE])
{
    if (strlen(text) != 2 * (size_t)AES_GCM_KEY_SIZE)
        return false;
    for (size_t i = 0; i < AES_GCM_KEY_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        secret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* One line into key; false when it is neither id, secret, comment nor empty. */
static bool read_line(char *line, struct codec_key *key, bool *has_secret)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *name = line + strspn(line, " \t");
    if (*name == '\0' || *name == '#')
        return true;
    char *value = strchr(name, ':');
    if (value == NULL)
        return false;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcmp(name, "key-id") == 0 && is_key_id(value)) {
        strcpy(key->id, value);
        return true;
    }
    *has_secret = strcmp(name, "secret-key") == 0 && read_secret(value, key->secret);
    return *has_secret;
}

static int read_lines(FILE *file, const char *path, struct codec_key *key, struct error *err)
{
    int code = secret_file_check(fileno(file), path, err);
    if (code < 0)
        return code;
    char line[LINE_SIZE];
    bool has_secret = false;
    for (int number = 1; code == 0 && fgets(line, sizeof line, file) != NULL; number++) {
        if (number > FILE_LINES_MAX || !read_line(line, key, &has_secret))
            code = error_set(err, ERR_CONFIG,
                             "%s:%d: expected \"key-id: \" and a name, or \"secret-key: \" and %d "
                             "hexadecimal digits",
                             path, number, 2 * AES_GCM_KEY_SIZE);
    }
    explicit_bzero(line, sizeof line);
    if (code == 0 && (key->id[0] == '\0' || !has_secret))
        code = error_set(err, ERR_CONFIG, "%s: needs a key-id and a secret-key", path);
    return code;
}

int codec_key_read(const char *path, struct codec_key *ret_key, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_PERMISSION, errno,
                               "could not read the key file \"%s\"", path);
    struct codec_key key = {0};
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the key stays in a buffer */
    int code = read_lines(file, path, &key, err);
    fclose(file);
    if (code == 0)
        *ret_key = key;
    explicit_bzero(&key, sizeof key);
    return code;
}

/* ---- making ---- */

static void write_hex(const uint8_t *bytes, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int make_key(const char *id, struct codec_key *key, struct error *err)
{
    uint8_t random_id[ID_BYTES];
    if (!aes_gcm_random(key->secret, sizeof key->secret) ||
        !aes_gcm_random(random_id, sizeof random_id))
        return error_set(err, ERR_INTERNAL, "the system has no randomness to give");
    if (id != NULL)
        strcpy(key->id, id);
    else
        write_hex(random_id, sizeof random_id, key->id);
    return 0;
}

static int write_key(const char *path, const struct codec_key *key, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno,
                               "could not create \"%s\"", path);
    char secret[2 * AES_GCM_KEY_SIZE + 1];
    char text[LINE_SIZE];
    write_hex(key->secret, sizeof key->secret, secret);
    int length = snprintf(text, sizeof text, "key-id: %s\nsecret-key: %s\n", key->id, secret);
    bool is_written = write(fd, text, (size_t)length) == (ssize_t)length;
    int errnum = errno;
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(text, sizeof text);
    /* A key that is lost with the node's power is lost with all it encrypted. */
    is_written = is_written && fsync(fd) == 0;
    if (close(fd) == 0 && is_written)
        return 0;
    unlink(path);
    return error_set_errno(err, ERR_IO, errnum, "could not write \"%s\"", path);
}

int argosy_codec_key_create(const char *path, const char *id, char ret_id[ARGOSY_CODEC_KEY_ID_SIZE],
                            struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    if (id != NULL && !is_key_id(id))
        return error_set(inner, ERR_INVALID,
                         "a key id has 1 to %d letters, digits, \"-\", \"_\" and \".\"",
                         ARGOSY_CODEC_KEY_ID_SIZE - 1);
    struct codec_key key = {0};
    int code = make_key(id, &key, inner);
    if (code == 0)
        code = write_key(path, &key, inner);
    if (code == 0)
        strcpy(ret_id, key.id);
    explicit_bzero(&key, sizeof key);
    return code;
}
