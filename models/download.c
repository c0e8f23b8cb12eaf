/* SPDX-License-Identifier: Apache-2.0 */
/* download: see download.h. */
#include "models/download.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#define CONNECT_TIMEOUT_S 15L
#define STALL_TIMEOUT_S   30L
#define STALL_BYTES_S     100L
#define REDIRECTS_MAX     10L

struct download {
    FILE *file;
    size_t size;
    size_t size_max;
    int code; /* why writing stopped: ERR_LIMIT, ERR_IO */
    download_progress_fn *progress;
    void *arg;
};

static size_t write_part(char *data, size_t unit, size_t count, void *arg)
{
    struct download *download = arg;
    size_t size = unit * count;
    if (size > download->size_max - download->size) {
        download->code = ERR_LIMIT;
        return 0;
    }
    if (fwrite(data, 1, size, download->file) != size) {
        download->code = ERR_IO;
        return 0;
    }
    download->size += size;
    return size;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t done, curl_off_t up_total,
                       curl_off_t up_done)
{
    struct download *download = arg;
    (void)total;
    (void)done;
    (void)up_total;
    (void)up_done;
    download->progress(download->arg, download->size);
    return 0;
}

static int perform(CURL *curl, const char *url, struct download *download, struct error *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    const char *protocols = strncmp(url, "http://", 7) == 0 ? "http,https" : "https";
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "argosy");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_part);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, download);
    CURLcode status = curl_easy_perform(curl);
    if (status == CURLE_OK)
        return 0;
    if (download->code == ERR_LIMIT)
        return error_set(err, ERR_LIMIT, "%s has more than %zu bytes", url, download->size_max);
    if (download->code == ERR_IO)
        return error_set_errno(err, ERR_IO, errno, "could not store %s", url);
    return error_set(err, ERR_UNAVAILABLE, "could not get %s: %s", url,
                     reason[0] != '\0' ? reason : curl_easy_strerror(status));
}

int download_file(const char *url, const char *path, size_t size_max,
                  download_progress_fn *progress, void *arg, uint64_t *ret_size, struct error *err)
{
    struct download download = {.size_max = size_max, .progress = progress, .arg = arg};
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = 0;
    download.file = fopen(path, "wbxe");
    if (download.file == NULL)
        code = error_set_errno(err, ERR_IO, errno, "could not create %s", path);
    if (code == 0)
        code = perform(curl, url, &download, err);
    if (download.file != NULL && fclose(download.file) != 0 && code == 0)
        code = error_set_errno(err, ERR_IO, errno, "could not write %s", path);
    curl_easy_cleanup(curl);
    if (code == 0)
        *ret_size = download.size;
    return code;
}
