/* SPDX-License-Identifier: Apache-2.0 */
/* registered_models: see registered_models.h. */
#include "cli/registered_models.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "common/clock.h"

/* Columns of a table for one model's figures. */
#define METRICS_WIDTH_MAX 48

/* ---- fetching ---- */

/* Whether somebody listens on a local socket: one that a fleet left behind refuses at once. */
static bool is_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof address.sun_path) {
        if (fd >= 0)
            close(fd);
        return true; /* the session finds out */
    }
    strcpy(address.sun_path, path);
    bool is_there = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_there;
}

/* Whether there is no use in waiting for storage: no config, or nobody at its local socket. */
static int find_absent(const struct invocation *invocation, bool *ret_absent, struct error *err)
{
    char path[SESSION_PATH_SIZE];
    struct fleet_config *config = NULL;
    int code = session_config_path(&invocation->parsed, path, err);
    if (code == 0 && path[0] != '\0')
        code = fleet_config_load(path, &config, err);
    if (code != 0)
        return code;
    const char *address = config != NULL ? config->storage.address : NULL;
    *ret_absent =
        address == NULL || (strncmp(address, "ipc://", 6) == 0 && !is_listening(address + 6));
    fleet_config_destroy(config);
    return 0;
}

static int fetch(const struct invocation *invocation, struct arena *arena,
                 const struct registered_model **ret_models, size_t *ret_count, struct error *err)
{
    static const struct registered_model none;
    struct storage_session session;
    int code = storage_session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = model_list(session.client, arena, ret_models, ret_count, err);
    if (code == 0 && *ret_count == 0)
        *ret_models = &none;
    storage_session_close(&session);
    return code;
}

int registered_models_fetch(const struct invocation *invocation, struct arena *arena,
                            const struct registered_model **ret_models, size_t *ret_count,
                            struct error *err)
{
    struct error why = {.text = "no fleet runs here"};
    bool is_absent;
    int code = find_absent(invocation, &is_absent, err);
    if (code != 0)
        return code;
    code = is_absent ? ERR_UNAVAILABLE : fetch(invocation, arena, ret_models, ret_count, &why);
    if (code == 0)
        return 0;
    if (code != ERR_UNAVAILABLE)
        return error_set(err, code, "%s", why.text);
    if (!invocation->json)
        fprintf(stderr, "note: registered models are not shown: %s\n", why.text);
    *ret_models = NULL;
    *ret_count = 0;
    return 0;
}

/* ---- showing ---- */

/* "accuracy 0.931, macro_f1 0.902": the fractions among the metrics. */
static void metrics_print(const struct registered_model *model, struct buffer *out)
{
    json_t *metadata = json_loads(model->metadata, 0, NULL);
    json_t *metrics = json_object_get(metadata, "metrics");
    const char *name;
    json_t *value;
    json_object_foreach(metrics, name, value) if (json_is_real(value))
        buffer_printf(out, "%s%s %.3f", out->size > 0 ? ", " : "", name, json_real_value(value));
    if (out->size == 0)
        buffer_append_text(out, "-");
    output_cut(out, METRICS_WIDTH_MAX);
    json_decref(metadata);
}

int registered_models_print(const struct registered_model *models, size_t count, struct error *err)
{
    struct table table;
    table_init(&table,
               (const char *const[]){"NAME", "VERSION", "BASE", "CREATED", "METRICS", NULL});
    for (size_t i = 0; i < count; i++) {
        char version[16];
        char created[OUTPUT_TIME_SIZE];
        struct buffer metrics = {0};
        metrics_print(&models[i], &metrics);
        snprintf(version, sizeof version, "%" PRIu32, models[i].version);
        table_add(&table, models[i].name, version, models[i].base[0] != '\0' ? models[i].base : "-",
                  output_time(models[i].registered_utc_us, created), buffer_text(&metrics));
        buffer_fini(&metrics);
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static json_t *model_json(const struct registered_model *model)
{
    char created[CLOCK_UTC_TEXT_SIZE];
    json_t *files = json_array();
    for (size_t i = 0; i < model->file_count; i++)
        json_array_append_new(files, json_pack("{s:s, s:s, s:I}", "name", model->files[i].name,
                                               "artifact", model->files[i].artifact.id, "size",
                                               (json_int_t)model->files[i].artifact.size));
    return json_pack("{s:s, s:I, s:s, s:s, s:s, s:o?, s:o}", "name", model->name, "version",
                     (json_int_t)model->version, "kind", model->kind, "base", model->base,
                     "createdTime", clock_utc_format(model->registered_utc_us, created), "metadata",
                     json_loads(model->metadata, 0, NULL), "files", files);
}

json_t *registered_models_json(const struct registered_model *models, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, model_json(&models[i]));
    return list;
}
