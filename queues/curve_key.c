/* SPDX-License-Identifier: Apache-2.0 */
/* curve_key: see curve_key.h. */
#include "queues/curve_key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "common/secret_file.h"

#define KEY_BYTES      32
#define LINE_SIZE      256
#define FILE_LINES_MAX 64
#define PATH_SIZE      4096

int curve_key_create(struct curve_key *ret_key, struct error *err)
{
    struct curve_key key;
    if (zmq_curve_keypair(key.public_key, key.secret_key) != 0)
        return error_set(err, ERR_UNSUPPORTED, "cannot make a key pair: %s", zmq_strerror(errno));
    *ret_key = key;
    return 0;
}

static int write_file(const char *path, mode_t mode, const char *text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set_errno(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno,
                               "could not create \"%s\"", path);
    size_t length = strlen(text);
    bool written = write(fd, text, length) == (ssize_t)length;
    int errnum = errno;
    if (close(fd) == 0 && written)
        return 0;
    unlink(path);
    return error_set_errno(err, ERR_IO, errnum, "could not write \"%s\"", path);
}

int curve_key_write(const struct curve_key *key, const char *path, struct error *err)
{
    char public_path[PATH_SIZE];
    if (snprintf(public_path, sizeof public_path, "%s.pub", path) >= (int)sizeof public_path)
        return error_set(err, ERR_INVALID, "path is too long: \"%s\"", path);
    char text[LINE_SIZE];
    snprintf(text, sizeof text, "public-key: %s\n", key->public_key);
    int rc = write_file(public_path, 0644, text, err);
    if (rc != 0)
        return rc;
    snprintf(text, sizeof text, "public-key: %s\nsecret-key: %s\n", key->public_key,
             key->secret_key);
    rc = write_file(path, 0600, text, err);
    if (rc != 0)
        unlink(public_path);
    return rc;
}

static bool is_key(const char *text)
{
    uint8_t bytes[KEY_BYTES];
    return strlen(text) == CURVE_KEY_TEXT_SIZE - 1 && zmq_z85_decode(bytes, text) != NULL;
}

/* One line into key; false when it is neither key, comment nor empty. */
static bool read_line(char *line, struct curve_key *key)
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
    if (!is_key(value))
        return false;
    if (strcmp(name, "public-key") == 0)
        memcpy(key->public_key, value, CURVE_KEY_TEXT_SIZE);
    else if (strcmp(name, "secret-key") == 0)
        memcpy(key->secret_key, value, CURVE_KEY_TEXT_SIZE);
    else
        return false;
    return true;
}

static int read_lines(FILE *file, const char *path, struct curve_key *key, struct error *err)
{
    char line[LINE_SIZE];
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        if (number > FILE_LINES_MAX || !read_line(line, key))
            return error_set(err, ERR_CONFIG,
                             "%s:%d: expected \"public-key: \" or \"secret-key: \" and 40 "
                             "characters of Z85",
                             path, number);
    }
    if (key->public_key[0] == '\0')
        return error_set(err, ERR_CONFIG, "%s: holds no public-key", path);
    if (key->secret_key[0] != '\0')
        return secret_file_check(fileno(file), path, err);
    return 0;
}

int curve_key_read(const char *path, struct curve_key *ret_key, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_PERMISSION, errno,
                               "could not read the key file \"%s\"", path);
    struct curve_key key = {0};
    int rc = read_lines(file, path, &key, err);
    fclose(file);
    if (rc == 0)
        *ret_key = key;
    explicit_bzero(&key, sizeof key);
    return rc;
}

int curve_key_read_pair(const char *path, struct curve_key *ret_key, struct error *err)
{
    struct curve_key key;
    int rc = curve_key_read(path, &key, err);
    if (rc != 0)
        return rc;
    if (key.secret_key[0] == '\0')
        return error_set(err, ERR_CONFIG, "%s: holds no secret-key", path);
    *ret_key = key;
    return 0;
}

int curve_key_is_authorized(const char *folder, const char *public_key, bool *ret_authorized,
                            struct error *err)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return error_set_errno(err, ERR_CONFIG, errno,
                               "could not read the folder of authorized keys \"%s\"", folder);
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        char path[PATH_SIZE];
        struct curve_key key;
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        found = curve_key_read(path, &key, NULL) == 0 && strcmp(key.public_key, public_key) == 0;
    }
    closedir(dir);
    *ret_authorized = found;
    return 0;
}
