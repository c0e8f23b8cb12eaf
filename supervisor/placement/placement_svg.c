/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_svg: a plan as a drawing (placement.h): packages hold NUMA nodes, these L3 domains and
 * GPUs, domains hold cores, cores hold processors, each in the colours of the processes pinned to
 * it and with their numbers, which a legend explains.
 *
 * Boxes are laid out from the inside: filling a box tells its size, and draws nothing on a canvas
 * without output, so that a box is measured before it is drawn around its content.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/placement/placement.h"

#define CPU_WIDTH      34
#define CPU_HEIGHT     18
#define CORE_WIDTH     (CPU_WIDTH + 4)
#define GPU_WIDTH      168
#define GPU_HEIGHT     48
#define GAP            6
#define TITLE_HEIGHT   18
#define TITLE_WIDTH    150
#define CORES_IN_ROW   8
#define NODE_WIDTH_MAX 760  /* two L3 domains of eight cores, or four GPUs */
#define WIDTH_MAX      1560 /* two such nodes */
#define LEGEND_STEP    22
#define LEGEND_TEXT    840 /* the longest line */
#define LETTER_WIDTH   8   /* bold, at 12 units */

struct canvas {
    const struct placement *placement;
    const struct topology *topology;
    const struct topology_core *const *cores; /* in the machine's order, ours and not ours */
    struct buffer *out;                       /* NULL: only measured */
};

struct size {
    int width;
    int height;
};

/* Boxes side by side in rows, below the title of the box around them. */
struct flow {
    int outer_x, outer_y; /* the outer box's corner */
    int width_max;
    int x, y; /* where the next one goes */
    int row_height;
    struct size used; /* from the corner */
};

/* Puts a box's content at x, y and tells the box's size. */
typedef struct size fill_box(const struct canvas *canvas, int place, int x, int y);

/* Elements */

static void draw(const struct canvas *canvas, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void draw(const struct canvas *canvas, const char *format, ...)
{
    if (canvas->out == NULL)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_append_text(canvas->out, text);
}

/* Text that may come from a file, as XML character data. */
static void draw_escaped(const struct canvas *canvas, const char *text)
{
    for (; *text != '\0'; text++)
        draw(canvas, strchr("<>&\"", *text) != NULL ? "&#%d;" : "%c", *text);
}

static void draw_box(const struct canvas *canvas, const char *class, int x, int y, struct size size)
{
    draw(canvas, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n",
         class, x, y, size.width, size.height);
}

static void draw_text(const struct canvas *canvas, const char *class, int x, int y,
                      const char *text)
{
    draw(canvas, "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", class, x, y, text);
}

/* The colour and number of a process, on a part of a processor or in the legend. */
static void draw_process(const struct canvas *canvas, size_t place, int x, int y, int width,
                         bool has_number)
{
    draw(canvas, "<rect class=\"p%zu\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", place, x,
         y, width, CPU_HEIGHT);
    char number[16];
    snprintf(number, sizeof number, "%zu", place + 1);
    if (has_number)
        draw_text(canvas, "number", x + width / 2, y + CPU_HEIGHT - 5, number);
}

/* Layout */

static struct flow flow_begin(int x, int y, int width_max)
{
    return (struct flow){.outer_x = x,
                         .outer_y = y,
                         .width_max = width_max,
                         .x = x + GAP,
                         .y = y + TITLE_HEIGHT,
                         .used = {TITLE_WIDTH, TITLE_HEIGHT + GAP}};
}

/* The next box goes below all there are. */
static void flow_break(struct flow *flow)
{
    if (flow->row_height == 0)
        return;
    flow->x = flow->outer_x + GAP;
    flow->y += flow->row_height + GAP;
    flow->row_height = 0;
}

/* Makes room for a box at flow->x, flow->y. */
static void flow_fit(struct flow *flow, struct size size)
{
    if (flow->x + size.width + GAP > flow->outer_x + flow->width_max)
        flow_break(flow);
}

static void flow_add(struct flow *flow, struct size size)
{
    int right = flow->x + size.width + GAP - flow->outer_x;
    int bottom = flow->y + size.height + GAP - flow->outer_y;
    if (size.height > flow->row_height)
        flow->row_height = size.height;
    if (right > flow->used.width)
        flow->used.width = right;
    if (bottom > flow->used.height)
        flow->used.height = bottom;
    flow->x += size.width + GAP;
}

static void flow_box(const struct canvas *canvas, struct flow *flow, const char *class,
                     const char *title, fill_box *fill, int place)
{
    struct canvas blank = *canvas;
    blank.out = NULL;
    struct size size = fill(&blank, place, 0, 0);
    flow_fit(flow, size);
    draw_box(canvas, class, flow->x, flow->y, size);
    draw_text(canvas, "title", flow->x + GAP, flow->y + TITLE_HEIGHT - 5, title);
    fill(canvas, place, flow->x, flow->y);
    flow_add(flow, size);
}

/* The machine from the inside */

static bool is_drawn(const struct placement_pin *pin, int cpu)
{
    return pin->is_pinned && CPU_ISSET(cpu, &pin->cpus);
}

static void draw_cpu(const struct canvas *canvas, const struct topology_core *core, int thread,
                     int x, int y)
{
    const struct placement *placement = canvas->placement;
    int cpu = core->cpus[thread];
    bool is_usable = thread < core->cpu_count;
    int users = 0;
    for (size_t i = 0; i < placement->pin_count; i++)
        users += is_drawn(&placement->pins[i], cpu);
    draw(canvas, "<g><title>processor %d%s</title>\n", cpu, is_usable ? "" : ": not ours");
    draw_box(canvas, is_usable ? "cpu" : "cpu alien", x, y, (struct size){CPU_WIDTH, CPU_HEIGHT});
    int nth = 0;
    for (size_t i = 0; i < placement->pin_count; i++) {
        if (!is_drawn(&placement->pins[i], cpu))
            continue;
        int left = nth * CPU_WIDTH / users;
        int right = ++nth * CPU_WIDTH / users;
        /* Beyond three processes there is no room for numbers: the colours have to do. */
        draw_process(canvas, i, x + left, y, right - left, users <= 3);
    }
    draw(canvas, "</g>\n");
}

static struct size core_size(const struct topology_core *core)
{
    return (struct size){CORE_WIDTH, core->cpu_total * (CPU_HEIGHT + 2) + 2};
}

static struct size fill_l3(const struct canvas *canvas, int l3, int x, int y)
{
    struct flow flow = flow_begin(x, y, GAP + CORES_IN_ROW * (CORE_WIDTH + GAP));
    for (int i = 0; i < canvas->topology->core_total; i++) {
        const struct topology_core *core = canvas->cores[i];
        if (core->l3 != l3)
            continue;
        flow_fit(&flow, core_size(core));
        draw_box(canvas, "core", flow.x, flow.y, core_size(core));
        for (int thread = 0; thread < core->cpu_total && canvas->out != NULL; thread++)
            draw_cpu(canvas, core, thread, flow.x + 2, flow.y + 2 + thread * (CPU_HEIGHT + 2));
        flow_add(&flow, core_size(core));
    }
    return flow.used;
}

static struct size fill_gpu(const struct canvas *canvas, int gpu, int x, int y)
{
    const struct placement *placement = canvas->placement;
    const struct hardware_gpu *about = &canvas->topology->gpus[gpu].gpu;
    draw(canvas, "<g><title>");
    draw_escaped(canvas, about->model);
    draw(canvas, " %s", about->bus_id);
    draw(canvas, " ");
    draw_escaped(canvas, about->uuid);
    draw(canvas, "</title>\n");
    int left = x + GAP;
    for (size_t i = 0; i < placement->pin_count; i++) {
        if (placement->pins[i].gpu != gpu || left + CPU_WIDTH > x + GPU_WIDTH - GAP)
            continue;
        draw_process(canvas, i, left, y + TITLE_HEIGHT + GAP, CPU_WIDTH, true);
        left += CPU_WIDTH + 4;
    }
    draw(canvas, "</g>\n");
    return (struct size){GPU_WIDTH, GPU_HEIGHT};
}

/* The GPUs whose first local node is that; node -1: those of which nobody knows where they are. */
static void flow_gpus(const struct canvas *canvas, struct flow *flow, int node)
{
    for (int gpu = 0; gpu < canvas->topology->gpu_count; gpu++) {
        uint64_t nodes = canvas->topology->gpus[gpu].nodes;
        char title[64];
        if ((nodes != 0 ? __builtin_ctzll(nodes) : -1) != node)
            continue;
        snprintf(title, sizeof title, "GPU %d %s", gpu, canvas->topology->gpus[gpu].gpu.bus_id);
        flow_box(canvas, flow, "gpu", title, fill_gpu, gpu);
    }
}

static struct size fill_node(const struct canvas *canvas, int node, int x, int y)
{
    struct flow flow = flow_begin(x, y, NODE_WIDTH_MAX);
    for (int i = 0; i < canvas->topology->core_total; i++) {
        int l3 = canvas->cores[i]->l3;
        char title[64];
        if (canvas->cores[i]->node != node || (i > 0 && canvas->cores[i - 1]->l3 == l3))
            continue;
        snprintf(title, sizeof title, "L3 domain %d", l3);
        flow_box(canvas, &flow, "l3", title, fill_l3, l3);
    }
    flow_break(&flow);
    flow_gpus(canvas, &flow, node);
    return flow.used;
}

static void flow_node(const struct canvas *canvas, struct flow *flow, int node)
{
    const struct topology_node *about = &canvas->topology->nodes[node];
    char title[64];
    int length = snprintf(title, sizeof title, "NUMA node %d", about->os_index);
    if (about->memory_bytes >= UINT64_C(1) << 30)
        snprintf(title + length, sizeof title - (size_t)length, ", %llu GiB",
                 (unsigned long long)(about->memory_bytes >> 30));
    flow_box(canvas, flow, "node", title, fill_node, node);
}

static struct size fill_package(const struct canvas *canvas, int package, int x, int y)
{
    struct flow flow = flow_begin(x, y, WIDTH_MAX);
    uint64_t drawn = 0;
    for (int i = 0; i < canvas->topology->core_total; i++) {
        const struct topology_core *core = canvas->cores[i];
        if (core->package != package || (drawn >> core->node & 1) != 0)
            continue;
        drawn |= UINT64_C(1) << core->node;
        flow_node(canvas, &flow, core->node);
    }
    return flow.used;
}

static struct size fill_machine(const struct canvas *canvas, int unused, int x, int y)
{
    (void)unused;
    const struct topology *topology = canvas->topology;
    struct flow flow = flow_begin(x, y, WIDTH_MAX + 2 * GAP);
    uint64_t with_cores = 0;
    for (int i = 0; i < topology->core_total; i++)
        with_cores |= UINT64_C(1) << canvas->cores[i]->node;
    for (int package = 0; package < topology->package_count; package++) {
        char title[32];
        snprintf(title, sizeof title, "Package %d", package);
        flow_box(canvas, &flow, "package", title, fill_package, package);
    }
    flow_break(&flow);
    for (int node = 0; node < topology->node_count; node++) {
        if ((with_cores >> node & 1) == 0)
            flow_node(canvas, &flow, node);
    }
    flow_break(&flow);
    flow_gpus(canvas, &flow, -1);
    return flow.used;
}

/* Where names end, from where they begin. */
static int measure_names(const struct placement *placement)
{
    size_t longest = 10;
    for (size_t i = 0; i < placement->pin_count; i++) {
        char name[PLACEMENT_NAME_MAX];
        size_t length = strlen(placement_name(&placement->pins[i], name));
        longest = length > longest ? length : longest;
    }
    return (int)longest * LETTER_WIDTH + 2 * GAP;
}

static struct size draw_legend(const struct canvas *canvas, int x, int y)
{
    const struct placement *placement = canvas->placement;
    int name_x = x + CPU_WIDTH + GAP;
    int about_x = name_x + measure_names(placement);
    for (size_t i = 0; i < placement->pin_count; i++) {
        const struct placement_pin *pin = &placement->pins[i];
        int top = y + (int)i * LEGEND_STEP;
        char name[PLACEMENT_NAME_MAX];
        struct buffer about = {0};
        placement_print_pin(pin, &about);
        draw_process(canvas, i, x, top, CPU_WIDTH, true);
        draw_text(canvas, "name", name_x, top + CPU_HEIGHT - 5, placement_name(pin, name));
        draw(canvas, "<text class=\"about\" x=\"%d\" y=\"%d\">", about_x, top + CPU_HEIGHT - 5);
        draw_escaped(canvas, buffer_text(&about));
        draw(canvas, "</text>\n");
        buffer_fini(&about);
    }
    return (struct size){about_x - x + LEGEND_TEXT, (int)placement->pin_count * LEGEND_STEP};
}

/* Colours: neighbours in the legend are far apart on the wheel (the golden angle). */
static void draw_colours(const struct canvas *canvas, int lightness)
{
    for (size_t i = 0; i < canvas->placement->pin_count; i++)
        draw(canvas, ".p%zu{fill:hsl(%d,65%%,%d%%)}\n", i, (int)(i * 137508 / 1000 % 360),
             lightness + (i % 2 == 0 ? 6 : -2));
}

static void draw_style(const struct canvas *canvas)
{
    draw(canvas, "<style>\n"
                 "text{font:12px system-ui,sans-serif;fill:#1f2328}\n"
                 ".title{fill:#59636e}.name{font-weight:600}.about{fill:#59636e}\n"
                 ".number{font-size:11px;text-anchor:middle}\n"
                 ".page{fill:#ffffff}\n"
                 ".package,.node,.l3,.core,.cpu,.gpu{stroke:#b7bfc8;fill:#f6f8fa}\n"
                 ".node{fill:#ffffff}.core{fill:#ffffff}.cpu{fill:#eceff2;stroke:none}\n"
                 ".gpu{fill:#eef6e2;stroke:#8fb35a}\n"
                 ".alien{fill:none;stroke:#b7bfc8;stroke-dasharray:3 3}\n");
    draw_colours(canvas, 74);
    draw(canvas, "@media (prefers-color-scheme:dark){\n"
                 "text{fill:#f0f3f6}.title,.about{fill:#a5aeb8}\n"
                 ".page{fill:#0d1117}\n"
                 ".package,.node,.l3,.core,.cpu,.gpu{stroke:#4a535e;fill:#161b22}\n"
                 ".node{fill:#0d1117}.core{fill:#0d1117}.cpu{fill:#262c36;stroke:none}\n"
                 ".gpu{fill:#1b2a12;stroke:#5c7f34}\n"
                 ".alien{fill:none;stroke:#4a535e}\n");
    draw_colours(canvas, 34);
    draw(canvas, "}\n</style>\n");
}

void placement_draw(const struct placement *placement, struct buffer *out)
{
    const struct topology *topology = placement->topology;
    const struct topology_core *cores[TOPOLOGY_CORE_MAX];
    for (int i = 0; i < topology->core_total; i++)
        cores[topology->cores[i].number] = &topology->cores[i];
    struct canvas canvas = {.placement = placement, .topology = topology, .cores = cores};
    struct size machine = fill_machine(&canvas, 0, 0, 0);
    struct size legend = draw_legend(&canvas, 0, 0);
    struct size page = {(machine.width > legend.width ? machine.width : legend.width) + 2 * GAP,
                        machine.height + legend.height + 3 * GAP};
    canvas.out = out;
    draw(&canvas,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
         "viewBox=\"0 0 %d %d\">\n<title>Placement of a fleet's processes</title>\n",
         page.width, page.height, page.width, page.height);
    draw_style(&canvas);
    draw_box(&canvas, "page", 0, 0, page);
    fill_machine(&canvas, 0, 0, 0);
    draw_legend(&canvas, 2 * GAP, machine.height + GAP);
    draw(&canvas, "</svg>\n");
}
