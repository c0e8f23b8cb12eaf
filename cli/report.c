/* SPDX-License-Identifier: Apache-2.0 */
/* report: see report.h. */
#include "cli/report.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/placement/placement.h"
#include "supervisor/placement/topology.h"

/* As <data_dir>/crashes is written (supervisor/log/crash_folder.h). */
#define CRASHES    "crashes"
#define LAST_LINES "\nlast lines\n"

#define METRICS_MAX       (16u << 20)
#define METRICS_TIMEOUT_S 5L

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "out of memory");
}

int report_add(struct report *report, const char *name, struct buffer *text, struct error *err)
{
    struct buffer scrubbed = {0};
    report_scrub_text(&report->scrub, (const char *)text->data, text->size, &scrubbed);
    int code = text->failed || scrubbed.failed
                   ? fail_memory(err)
                   : tar_file_add(report->tar, name, scrubbed.data, scrubbed.size, err);
    if (code == 0)
        json_array_append_new(report->contents, json_pack("{s:s, s:I}", "file", name, "bytes",
                                                          (json_int_t)scrubbed.size));
    buffer_fini(&scrubbed);
    buffer_fini(text);
    return code;
}

void report_miss(struct report *report, const char *what, const char *why)
{
    json_array_append_new(report->missing, json_pack("{s:s, s:s}", "what", what, "why", why));
}

bool report_read(const char *path, struct buffer *out)
{
    char bytes[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    size_t left = REPORT_FILE_MAX;
    ssize_t count = 0;
    while (left > 0 && (count = read(fd, bytes, left < sizeof bytes ? left : sizeof bytes)) > 0) {
        buffer_append(out, bytes, (size_t)count);
        left -= (size_t)count;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return count >= 0;
}

/* Configuration */

static int add_plan(struct report *report, struct error *err)
{
    struct hardware hardware;
    struct placement placement;
    struct error why = {0};
    struct topology *topology = calloc(1, sizeof *topology);
    if (topology == NULL)
        return fail_memory(err);
    hardware_detect("", &hardware);
    int code = topology_read(NULL, &hardware, topology, &why);
    if (code == 0)
        code = placement_create(topology, report->config, &placement, &why);
    if (code == 0) {
        struct buffer text = {0};
        placement_print(&placement, &text);
        placement_destroy(&placement);
        code = report_add(report, "plan.txt", &text, err);
    } else {
        report_miss(report, "plan.txt", why.text);
        code = 0;
    }
    free(topology);
    return code;
}

int report_config(struct report *report, struct error *err)
{
    struct buffer text = {0};
    fleet_config_print(report->config, &text);
    int code = report_add(report, "config.yaml", &text, err);
    return code == 0 ? add_plan(report, err) : code;
}

/* Metrics */

static size_t take_metrics(char *bytes, size_t size, size_t count, void *arg)
{
    struct buffer *text = arg;
    if (text->size + size * count > METRICS_MAX)
        return 0;
    buffer_append(text, bytes, size * count);
    return size * count;
}

int report_metrics(struct report *report, const char *http, struct error *err)
{
    char url[192];
    struct buffer text = {0};
    if (http[0] == '\0') {
        report_miss(report, "metrics.txt", "it is not known where the node serves HTTP");
        return 0;
    }
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return fail_memory(err);
    snprintf(url, sizeof url, "http://%s/metrics", http);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, METRICS_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_metrics);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (result == CURLE_OK)
        return report_add(report, "metrics.txt", &text, err);
    report_miss(report, "metrics.txt", curl_easy_strerror(result));
    buffer_fini(&text);
    return 0;
}

/* The dead */

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length > strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

/* What the supervisor wrote about a death, then what the dead process did. */
static int add_death(struct report *report, const char *path, const char *name, struct error *err)
{
    struct buffer text = {0};
    struct buffer shown = {0};
    if (!report_read(path, &text)) {
        buffer_fini(&text);
        return 0; /* too old to be kept by now */
    }
    const char *all = buffer_text(&text);
    const char *lines = strstr(all, LAST_LINES);
    size_t head = lines != NULL ? (size_t)(lines - all) + strlen(LAST_LINES) : text.size;
    buffer_append(&shown, all, head);
    report_scrub_lines(all + head, text.size - head, report->with_output, &shown);
    buffer_fini(&text);
    return report_add(report, name, &shown, err);
}

static int add_core(struct report *report, const char *path, const char *name, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    int code = tar_file_add_fd(report->tar, name, fd, (uint64_t)info.st_size, err);
    close(fd);
    if (code == 0)
        json_array_append_new(report->contents, json_pack("{s:s, s:I}", "file", name, "bytes",
                                                          (json_int_t)info.st_size));
    return code;
}

/* Deaths, and core dumps where they are wanted; oldest first. */
static int is_kept(const struct dirent *file)
{
    return has_suffix(file->d_name, ".txt") || has_suffix(file->d_name, ".core");
}

static int add_file(struct report *report, const char *folder, const char *file_name,
                    struct error *err)
{
    char path[PATH_MAX + NAME_MAX + 2];
    char name[sizeof CRASHES + NAME_MAX + 1];
    snprintf(path, sizeof path, "%s/%s", folder, file_name);
    snprintf(name, sizeof name, CRASHES "/%s", file_name);
    if (has_suffix(file_name, ".txt"))
        return add_death(report, path, name, err);
    if (report->with_cores)
        return add_core(report, path, name, err);
    report_miss(report, name, "it holds payloads, models and keys (--with-cores packs it)");
    return 0;
}

int report_crashes(struct report *report, struct error *err)
{
    char folder[PATH_MAX];
    struct dirent **files;
    snprintf(folder, sizeof folder, "%s/" CRASHES, report->config->data_dir);
    int count = scandir(folder, &files, is_kept, alphasort);
    if (count < 0) {
        report_miss(report, CRASHES, strerror(errno));
        return 0;
    }
    int code = 0;
    for (int i = 0; i < count; i++) {
        if (code == 0)
            code = add_file(report, folder, files[i]->d_name, err);
        free(files[i]);
    }
    free(files);
    return code;
}
