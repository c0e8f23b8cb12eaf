/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_include: how files of one configuration are found, laid over each other and named in
 * errors. The files are in memory but for the last tests. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fleet_config.h"
#include "common/fleet_include.h"

static const struct hardware machine = {.cpus = 2};

struct memory_file {
    const char *path;
    const char *text;
};

struct memory {
    struct fleet_reader reader; /* first */
    const struct memory_file *files;
    size_t count;
};

static int read_memory(const struct fleet_reader *reader, const char *path, struct arena *arena,
                       const char **ret_path, struct buffer *text, struct error *err)
{
    const struct memory *memory = (const struct memory *)reader;
    for (size_t i = 0; i < memory->count; i++) {
        if (strcmp(memory->files[i].path, path) == 0) {
            buffer_append_text(text, memory->files[i].text);
            *ret_path = arena_strdup(arena, path);
            return 0;
        }
    }
    return error_set(err, ERR_NOT_FOUND, "cannot read %s: No such file or directory", path);
}

/* The names directly below the path. */
static int list_memory(const struct fleet_reader *reader, const char *path, struct arena *arena,
                       const char *const **ret_names, size_t *ret_count, struct error *err)
{
    const struct memory *memory = (const struct memory *)reader;
    const char **names = arena_calloc(arena, memory->count, sizeof *names);
    size_t length = strlen(path);
    size_t count = 0;
    for (size_t i = 0; i < memory->count; i++) {
        const char *file = memory->files[i].path;
        if (strncmp(file, path, length) == 0 && file[length] == '/')
            names[count++] = arena_strdup(arena, file + length + 1);
    }
    *ret_names = names;
    *ret_count = count;
    return count > 0 ? 0 : error_set(err, ERR_NOT_FOUND, "no folder");
}

static int load(const struct memory_file *files, size_t count, struct yaml_problems *problems,
                struct fleet_config **ret_config, struct error *err)
{
    const struct memory memory = {{read_memory, list_memory}, files, count};
    const struct fleet_config_request request = {.path = files[0].path,
                                                 .hardware = &machine,
                                                 .reader = &memory.reader,
                                                 .problems = problems};
    return fleet_config_read(&request, ret_config, err);
}

#define LOAD(files) load_right(files, sizeof(files) / sizeof(files)[0])
static struct fleet_config *load_right(const struct memory_file *files, size_t count)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (load(files, count, NULL, &config, &err) != 0)
        fail_msg("%s", err.text);
    return config;
}

#define EXPECT_ERROR(files, text) expect_error(files, sizeof(files) / sizeof(files)[0], text)
static void expect_error(const struct memory_file *files, size_t count, const char *text)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    assert_int_equal(load(files, count, NULL, &config, &err), ERR_CONFIG);
    assert_null(config);
    assert_string_equal(err.text, text);
}

static void nearer_file_wins(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/a/fleet.yaml", "include: [base.yaml, more/gpu.yaml]\n"
                          "engine: {lease_ms: 3000}\n"
                          "groups:\n"
                          "  - name: cpu\n"
                          "    queues: [{name: q, slots: 3}, {name: third}]\n"
                          "  - {name: own, kind: cpu}\n"},
        {"/a/base.yaml", "node: base\n"
                         "engine: {lease_ms: 1000, reclaim_ms: 2000}\n"
                         "groups:\n"
                         "  - name: cpu\n"
                         "    kind: cpu\n"
                         "    processes: 7\n"
                         "    plugins: [one.so]\n"
                         "    queues: [{name: q, slots: 1}, {name: second, slots: 2}]\n"},
        {"/a/more/gpu.yaml", "node: gpu\n"
                             "groups:\n"
                             "  - {name: gpu, kind: gpu, plugins: [two.so]}\n"
                             "  - {name: cpu, grace_ms: 5, plugins: [three.so]}\n"},
    };
    struct fleet_config *config = LOAD(files);
    assert_string_equal(config->node, "gpu");
    assert_string_equal(config->data_dir, "/a/.argosy");
    assert_int_equal(config->engine.lease_ms, 3000);
    assert_int_equal(config->engine.reclaim_ms, 2000);
    assert_int_equal(config->group_count, 3);
    const struct fleet_group *cpu = &config->groups[0];
    assert_string_equal(cpu->name, "cpu");
    assert_int_equal(cpu->processes, 7);
    assert_int_equal(cpu->grace_ms, 5);
    assert_int_equal(cpu->plugin_count, 1); /* a list without names is replaced */
    assert_string_equal(cpu->plugins[0], "/a/more/three.so");
    assert_int_equal(cpu->queue_count, 3);
    assert_string_equal(cpu->queues[0].name, "q");
    assert_int_equal(cpu->queues[0].slots, 3);
    assert_int_equal(cpu->queues[1].slots, 2);
    assert_string_equal(cpu->queues[2].name, "third");
    assert_int_equal(cpu->queues[2].slots, 16); /* by the kind, which stands in another file */
    assert_string_equal(config->groups[1].name, "gpu");
    assert_string_equal(config->groups[1].plugins[0], "/a/more/two.so");
    assert_string_equal(config->groups[2].name, "own");
    assert_int_equal(config->file_count, 3);
    assert_string_equal(config->files[0], "/a/fleet.yaml");
    assert_string_equal(config->files[1], "/a/base.yaml");
    assert_string_equal(config->files[2], "/a/more/gpu.yaml");
    fleet_config_destroy(config);
}

static void null_takes_back(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [base.yaml]\nnode: n\nengine: {lease_ms: null}\ngroups: ~\n"},
        {"/base.yaml", "engine: {lease_ms: 1000}\ngroups: [{name: a, kind: cpu}]\n"},
    };
    struct fleet_config *config = LOAD(files);
    assert_int_equal(config->engine.lease_ms, 10000);
    assert_int_equal(config->group_count, 2);
    fleet_config_destroy(config);
}

static void entries_of_the_factory_are_merged_but_schemas_replaced(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [b.yaml]\n"
                    "factory: [{name: mine, input: {type: string}, priority: 1}]\n"},
        {"/b.yaml", "factory:\n"
                    "  - {name: mine, type: t, input: {type: object, properties: {a: {}}}}\n"},
    };
    struct fleet_config *config = LOAD(files);
    const struct fleet_workflow *mine = fleet_config_workflow(config, "mine");
    assert_string_equal(mine->type, "t");
    assert_int_equal(mine->priority, 1);
    assert_null(yaml_get(mine->input, "properties"));
    fleet_config_destroy(config);
}

static void folder_is_read_by_name(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [\"${T_CONF:-conf.d}\"]\n"},
        {"/conf.d/..data.yaml", "node: hidden\n"},
        {"/conf.d/10-a.yaml", "node: a\nlog_level: warn\n"},
        {"/conf.d/20-b.yml", "node: b\n"},
        {"/conf.d/README.md", "not read: [\n"},
    };
    unsetenv("T_CONF");
    struct fleet_config *config = LOAD(files);
    assert_string_equal(config->node, "b");
    assert_int_equal(config->log_level, LOG_LEVEL_WARN);
    assert_int_equal(config->file_count, 3);
    assert_string_equal(config->files[1], "/conf.d/10-a.yaml");
    fleet_config_destroy(config);
}

static void same_file_may_come_twice(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [a.yaml, b.yaml]\n"},
        {"/a.yaml", "include: [c.yaml]\n"},
        {"/b.yaml", "include: [c.yaml]\n"},
        {"/c.yaml", "node: c\n"},
    };
    struct fleet_config *config = LOAD(files);
    assert_string_equal(config->node, "c");
    fleet_config_destroy(config);
}

static void errors_name_the_file_of_the_key(void **state)
{
    (void)state;
    static const struct memory_file unknown[] = {
        {"f.yaml", "include: [d/a.yaml]\n"},
        {"./d/a.yaml", "\ngroups:\n- name: a\n  kind: cpu\n  proceses: 2\n"},
    };
    EXPECT_ERROR(unknown, "d/a.yaml:5: groups[0].proceses: unknown key (did you mean "
                          "\"processes\"?)");
    static const struct memory_file misspelt[] = {{"/f.yaml", "inclde: [a.yaml]\n"}};
    EXPECT_ERROR(misspelt, "/f.yaml:1: inclde: unknown key (did you mean \"include\"?)");
    static const struct memory_file value[] = {
        {"/f.yaml", "include: [a.yaml]\nengine:\n  reclaim_ms: 5\n"},
        {"/a.yaml", "engine:\n\n  lease_ms: 5\n"},
    };
    EXPECT_ERROR(value, "/a.yaml:3: engine.lease_ms: 5 is out of range (100 to 600000)");
    static const struct memory_file several[] = {
        {"/f.yaml", "include: [a.yaml]\nengine:\n  endpoint: tcp://e:1\n"},
        {"/a.yaml", "engine:\n\n  listen: [ipc]\n"},
    };
    EXPECT_ERROR(several, "/a.yaml:3: engine.listen: an engine that runs elsewhere (endpoint, line "
                          "3 of /f.yaml) listens there");
    static const struct memory_file twins[] = {
        {"/f.yaml", "include: [a.yaml]\nqueues: [{name: q}]\n"},
        {"/a.yaml", "queues:\n- name: q\n- name: q\n"},
    };
    EXPECT_ERROR(twins, "/a.yaml:3: queues[1].name: \"q\" was already given in line 2");
    static const struct memory_file syntax[] = {
        {"/f.yaml", "include: [a.yaml]\n"},
        {"/a.yaml", "node: [\n"},
    };
    EXPECT_ERROR(syntax, "/a.yaml:2: node[0]: did not find expected node content");
}

static void what_cannot_be_included_is_said_where_it_stands(void **state)
{
    (void)state;
    static const struct memory_file missing[] = {{"/d/f.yaml", "node: n\ninclude:\n- no.yaml\n"}};
    EXPECT_ERROR(missing, "/d/f.yaml:3: include[0]: cannot read /d/no.yaml: No such file or "
                          "directory");
    static const struct memory_file kind[] = {{"/f.yaml", "include: a.yaml\n"}};
    EXPECT_ERROR(kind, "/f.yaml:1: include: expected a list, found a text");
    static const struct memory_file empty[] = {{"/f.yaml", "include: [\"\"]\n"}};
    EXPECT_ERROR(empty, "/f.yaml:1: include[0]: must not be empty");
    static const struct memory_file no_map[] = {
        {"/f.yaml", "include: [a.yaml]\n"},
        {"/a.yaml", "- a\n"},
    };
    EXPECT_ERROR(no_map, "/a.yaml:1: expected a map, found a list");
    static const struct memory_file cycle[] = {
        {"/f.yaml", "include: [a.yaml]\n"},
        {"/a.yaml", "node: n\ninclude: [f.yaml]\n"},
    };
    EXPECT_ERROR(cycle, "/a.yaml:2: include[0]: /f.yaml includes itself");
    struct fleet_config *config;
    struct error err = {0};
    assert_int_equal(fleet_config_parse("include: [a]\n", 13, "text", "/", &machine, &config, &err),
                     ERR_CONFIG);
    assert_string_equal(err.text, "text:1: include: only a file can include others");
}

/* A chain of files, each with size bytes of comment. */
static void expect_chain_error(size_t count, size_t size, bool is_deep, const char *text)
{
    struct memory_file files[FLEET_INCLUDE_FILE_MAX + 2];
    char paths[FLEET_INCLUDE_FILE_MAX + 2][32];
    struct buffer first = {0};
    buffer_append_text(&first, "include: [");
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "/%zu.yaml", i);
        struct buffer own = {0};
        if (is_deep && i + 1 < count)
            buffer_printf(&own, "include: [%zu.yaml]\n", i + 1);
        buffer_append_byte(&own, '#');
        for (size_t at = 0; at < size; at++)
            buffer_append_byte(&own, '.');
        buffer_append_byte(&own, '\n');
        files[i] = (struct memory_file){paths[i], strdup(buffer_text(&own))};
        buffer_fini(&own);
        if (i > 0)
            buffer_printf(&first, "%s%zu.yaml", i > 1 ? ", " : "", i);
    }
    buffer_append_text(&first, "]\n");
    if (!is_deep) {
        free((char *)files[0].text);
        files[0].text = strdup(buffer_text(&first));
    }
    buffer_fini(&first);
    struct fleet_config *config = NULL;
    struct error err = {0};
    int code = load(files, count, NULL, &config, &err);
    for (size_t i = 0; i < count; i++)
        free((char *)files[i].text);
    fleet_config_destroy(config);
    assert_int_equal(code, text != NULL ? ERR_CONFIG : 0);
    if (text != NULL)
        assert_string_equal(err.text, text);
}

static void depth_number_and_size_are_bounded(void **state)
{
    (void)state;
    expect_chain_error(FLEET_INCLUDE_DEPTH_MAX + 1, 1, true, NULL);
    expect_chain_error(FLEET_INCLUDE_DEPTH_MAX + 2, 1, true,
                       "/8.yaml:1: include[0]: included more than 8 files deep");
    expect_chain_error(FLEET_INCLUDE_FILE_MAX, 1, false, NULL);
    expect_chain_error(FLEET_INCLUDE_FILE_MAX + 1, 1, false,
                       "/0.yaml:1: include[63]: more than 64 files");
    expect_chain_error(4, YAML_SIZE_MAX / 3, false,
                       "/0.yaml:1: include[2]: all files together are larger than 262144 bytes");
}

static void all_problems_are_noted(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [a.yaml]\n"
                    "nod: n\n"
                    "log_level: inof\n"
                    "groups:\n"
                    "  - {name: a, kind: gp, batch_tokens: 7}\n"
                    "  - {name: b, kind: cpu, processes: x, proceses: 3}\n"
                    "  - {name: b, kind: cpu}\n"},
        {"/a.yaml", "engin: {}\nhttp: {listen: here}\n"},
    };
    struct yaml_problems problems = {0};
    struct fleet_config *config = NULL;
    struct error err = {0};
    int code = load(files, 2, &problems, &config, &err);
    assert_int_equal(code, ERR_CONFIG);
    assert_null(config);
    assert_string_equal(
        buffer_text(&problems.text),
        "/f.yaml:2: nod: unknown key (did you mean \"node\"?)\n"
        "/f.yaml:6: groups[1].proceses: unknown key (did you mean \"processes\"?)\n"
        "/f.yaml:7: groups[2].name: \"b\" was already given in line 6\n"
        "/a.yaml:1: engin: unknown key (did you mean \"engine\"?)\n"
        "/f.yaml:3: log_level: \"inof\" is none of debug, info, warn, error (did you mean "
        "\"info\"?)\n"
        "/a.yaml:2: http.listen: \"here\" is no address (none, 127.0.0.1:9464, 0.0.0.0:9464, "
        "[::]:9464)\n"
        "/f.yaml:5: groups[0].kind: \"gp\" is none of cpu, gpu (did you mean \"gpu\"?)\n"
        "/f.yaml:6: groups[1].processes: \"x\" is not a whole number\n");
    assert_int_equal(problems.count, 8);
    assert_string_equal(err.text, "/f.yaml:2: nod: unknown key (did you mean \"node\"?)");
    yaml_problems_fini(&problems);
}

static void tree_is_printed_as_written(void **state)
{
    (void)state;
    static const struct memory_file files[] = {
        {"/f.yaml", "include: [a.yaml]\n"
                    "node: ${T_NODE:-here}\n"
                    "groups:\n"
                    "  - name: \"a\"\n"
                    "    environment: [{name: T, value: \"$$ ${T_TOKEN}\\n\"}]\n"
                    "  - {name: b, kind: cpu, plugins: [], queues: [{name: q}]}\n"},
        {"/a.yaml", "log_level: ~\n"
                    "groups: [{kind: cpu, name: a, plugins: [x.so, y.so]}]\n"},
    };
    setenv("T_TOKEN", "s3cret", 1);
    struct fleet_config *config = LOAD(files);
    assert_string_equal(config->groups[0].environment[0].value, "$ s3cret\n");
    struct buffer out = {0};
    yaml_print_tree(config->tree, true, &out);
    assert_string_equal(buffer_text(&out), "# /a.yaml\n"
                                           "log_level: null\n"
                                           "# /f.yaml\n"
                                           "groups:\n"
                                           "  # /a.yaml\n"
                                           "  - kind: cpu\n"
                                           "    # /f.yaml\n"
                                           "    name: \"a\"\n"
                                           "    # /a.yaml\n"
                                           "    plugins:\n"
                                           "      - x.so\n"
                                           "      - y.so\n"
                                           "    # /f.yaml\n"
                                           "    environment:\n"
                                           "      - name: T\n"
                                           "        value: \"$$ ${T_TOKEN}\\u000a\"\n"
                                           "  - name: b\n"
                                           "    kind: cpu\n"
                                           "    plugins: []\n"
                                           "    queues:\n"
                                           "      - name: q\n"
                                           "node: ${T_NODE:-here}\n");
    buffer_clear(&out);
    fleet_config_print_public(config, &out);
    assert_null(strstr(buffer_text(&out), "s3cret"));
    assert_non_null(strstr(buffer_text(&out), "value: (hidden)\n"));
    buffer_clear(&out);
    fleet_config_print(config, &out);
    assert_non_null(strstr(buffer_text(&out), "value: \"$$ s3cret\\u000a\"\n"));
    buffer_fini(&out);
    fleet_config_destroy(config);
}

/* --- files on disk --------------------------------------------------------------------------- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* As Kubernetes lays a ConfigMap out: the names are links through a hidden folder. */
static void disk_is_read(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_fleet_include.XXXXXX";
    char path[512];
    assert_non_null(mkdtemp(folder));
    write_file(folder, "fleet.yaml", "include: [conf.d, last.yaml]\n");
    write_file(folder, "last.yaml", "node: last\n");
    snprintf(path, sizeof path, "%s/conf.d", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/conf.d/..data", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(path, "a.yaml", "log_level: debug\nmodels_dir: m\n");
    snprintf(path, sizeof path, "%s/conf.d/a.yaml", folder);
    assert_int_equal(symlink("..data/a.yaml", path), 0);

    snprintf(path, sizeof path, "%s/fleet.yaml", folder);
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (fleet_config_load_for(path, &machine, &config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(config->node, "last");
    assert_int_equal(config->file_count, 3);
    fleet_config_destroy(config);

    config = NULL;
    snprintf(path, sizeof path, "%s/none.yaml", folder);
    assert_int_equal(fleet_config_load_for(path, &machine, &config, &err), ERR_NOT_FOUND);
    assert_int_equal(fleet_config_load_for(folder, &machine, &config, &err), ERR_CONFIG);

    /* Nobody will ever write to it. */
    snprintf(path, sizeof path, "%s/pipe.yaml", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fleet_config_load_for(path, &machine, &config, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "pipe.yaml: not a regular file"));

    static const char *const made[] = {"conf.d/a.yaml", "conf.d/..data/a.yaml", "last.yaml",
                                       "fleet.yaml", "pipe.yaml"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        assert_int_equal(unlink(path), 0);
    }
    static const char *const folders[] = {"conf.d/..data", "conf.d", "."};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        if (i + 1 < sizeof folders / sizeof folders[0])
            assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearer_file_wins),
        cmocka_unit_test(null_takes_back),
        cmocka_unit_test(entries_of_the_factory_are_merged_but_schemas_replaced),
        cmocka_unit_test(folder_is_read_by_name),
        cmocka_unit_test(same_file_may_come_twice),
        cmocka_unit_test(errors_name_the_file_of_the_key),
        cmocka_unit_test(what_cannot_be_included_is_said_where_it_stands),
        cmocka_unit_test(depth_number_and_size_are_bounded),
        cmocka_unit_test(all_problems_are_noted),
        cmocka_unit_test(tree_is_printed_as_written),
        cmocka_unit_test(disk_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
