/* SPDX-License-Identifier: Apache-2.0 */
/* http_address: see http_address.h. */
#include "common/http_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool http_address_is_none(const char *text)
{
    return strcmp(text, HTTP_ADDRESS_NONE) == 0;
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    long port = strtol(text, &end, 10);
    if (*end != '\0' || port > 65535)
        return false;
    *ret_port = htons((uint16_t)port);
    return true;
}

bool http_address_parse(const char *text, struct sockaddr_storage *ret_address,
                        socklen_t *ret_length)
{
    char host[HTTP_ADDRESS_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    in_port_t port;
    if (length == 0 || length >= sizeof host || !parse_port(colon + 1, &port))
        return false;
    memcpy(host, text, length);
    host[length] = '\0';

    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
            return false;
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        *ret_length = sizeof *six;
    } else {
        if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
            return false;
        four->sin_family = AF_INET;
        four->sin_port = port;
        *ret_length = sizeof *four;
    }
    *ret_address = address;
    return true;
}

const char *http_address_format(int fd, char out[HTTP_ADDRESS_TEXT_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
    out[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return out;
    if (address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(out, HTTP_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(out, HTTP_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(four->sin_port));
    }
    return out;
}
