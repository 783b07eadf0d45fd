/* plot.c: knows axes, marks and labels, and colours that can be read on light and on dark.
 * Never knows what is measured but by its two axes. */
#include "tools/plot.h"

#include "tools/findings.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH       760
#define HEIGHT      480
#define LEFT        64
#define RIGHT       600
#define TOP         84
#define BOTTOM      424
#define LEGEND_X    628
#define LEGEND_STEP 20
#define TICKS       6 /* about as many on an axis */
#define FAR         5 /* times the limit: what costs more is not drawn */

/* Windows get darker, or on dark brighter, as they grow. */
static const char style[] =
    "text{fill:#222;font:13px sans-serif}.t{font-weight:bold;font-size:15px}.s{fill:#555}"
    ".bg{fill:#fff}.g{stroke:#ddd}.a{stroke:#555}.m{stroke:#c0392b;stroke-dasharray:5 4}"
    ".f{fill:none;stroke:#222;stroke-width:1.5}.r{fill:none;stroke:#c0392b;stroke-width:2.5}"
    ".x{stroke:#222;stroke-width:2}.o{opacity:.45}.k{fill:#777}"
    ".w0{fill:#e0a800}.w1{fill:#7fb83a}.w2{fill:#23a17c}.w3{fill:#2580a8}.w4{fill:#4453a8}"
    ".w5{fill:#5b1a7a}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}.bg{fill:#16181c}"
    ".g{stroke:#333}.a{stroke:#888}.m,.r{stroke:#ff7b6b}.f,.x{stroke:#eee}.k{fill:#aaa}"
    ".w0{fill:#8d5bd0}.w1{fill:#6f84e8}.w2{fill:#3fa7d0}.w3{fill:#35bd95}.w4{fill:#94cf4e}"
    ".w5{fill:#ffe14d}}";

#define SHADES 6

struct axis {
    double min, max, step;
    double from, to; /* pixels */
};

struct canvas {
    FILE *out;
    struct axis x, y;
    double far; /* the most that a point drawn costs */
};

/* ---- axes ------------------------------------------------------------------------------------ */

/* A step of 1, 2 or 5 times a power of ten. */
static double nice_step(double span)
{
    double raw = span / TICKS, unit = pow(10, floor(log10(raw)));
    if (raw <= unit)
        return unit;
    if (raw <= 2 * unit)
        return 2 * unit;
    return raw <= 5 * unit ? 5 * unit : 10 * unit;
}

static void widen(struct axis *a, double value)
{
    if (value < a->min)
        a->min = value;
    if (value > a->max)
        a->max = value;
}

static void round_off(struct axis *a)
{
    if (a->max - a->min < 0.01)
        a->max = a->min + 0.01;
    a->step = nice_step(a->max - a->min);
    a->min = floor(a->min / a->step) * a->step;
    a->max = ceil(a->max / a->step) * a->step;
}

static double place(const struct axis *a, double value)
{
    return a->from + (value - a->min) / (a->max - a->min) * (a->to - a->from);
}

static struct canvas canvas_of(const struct plot *p, FILE *out)
{
    struct canvas c = {.out = out,
        .x = {.min = 0, .max = p->extra_max, .from = LEFT, .to = RIGHT},
        .y = {.min = p->given.saved, .max = p->given.saved, .from = BOTTOM, .to = TOP}};
    widen(&c.x, p->given.extra);
    c.far = FAR * p->extra_max > p->given.extra ? FAR * p->extra_max : p->given.extra;
    for (size_t i = 0; i < p->grid->n; i++) {
        if (p->grid->points[i].extra > c.far)
            continue;
        widen(&c.x, p->grid->points[i].extra);
        widen(&c.y, p->grid->points[i].saved);
    }
    round_off(&c.x);
    round_off(&c.y);
    return c;
}

static int decimals(double step)
{
    return step * 100 < 0.95 ? 1 : 0;
}

static unsigned n_ticks(const struct axis *a)
{
    return (unsigned)lround((a->max - a->min) / a->step);
}

static void draw_x_label(const struct canvas *c, const struct grid *g)
{
    size_t beyond = 0;
    for (size_t i = 0; i < g->n; i++)
        beyond += g->points[i].extra > c->far;
    fprintf(c->out,
        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">extra questions upstream, in percent",
        (LEFT + RIGHT) / 2, BOTTOM + 40);
    if (beyond > 0)
        fprintf(c->out, "; %zu of %zu settings cost more than %+.0f", beyond, g->n, 100 * c->far);
    fprintf(c->out, "</text>\n");
}

static void draw_x_axis(const struct canvas *c, const struct grid *g)
{
    for (unsigned i = 0; i <= n_ticks(&c->x); i++) {
        double value = c->x.min + i * c->x.step, x = place(&c->x, value);
        bool zero = fabs(value) < c->x.step / 2;
        const char *sign = !zero && value > 0 ? "+" : "";
        fprintf(c->out, "<path class=\"g\" d=\"M%.1f %d V%d\"/>\n", x, TOP, BOTTOM);
        fprintf(c->out,
            "<text class=\"s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s%.*f</text>\n", x,
            BOTTOM + 18, sign, decimals(c->x.step), zero ? 0 : 100 * value);
    }
    draw_x_label(c, g);
}

static void draw_y_axis(const struct canvas *c)
{
    for (unsigned i = 0; i <= n_ticks(&c->y); i++) {
        double value = c->y.min + i * c->y.step, y = place(&c->y, value);
        fprintf(c->out, "<path class=\"g\" d=\"M%d %.1f H%d\"/>\n", LEFT, y, RIGHT);
        fprintf(c->out, "<text class=\"s\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n",
            LEFT - 8, y + 4, decimals(c->y.step), 100 * value);
    }
    fprintf(c->out,
        "<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">waiting saved, in "
        "percent</text>\n",
        (TOP + BOTTOM) / 2);
    fprintf(c->out, "<path class=\"a\" fill=\"none\" d=\"M%d %d V%d H%d\"/>\n", LEFT, TOP, BOTTOM,
        RIGHT);
}

/* ---- marks ----------------------------------------------------------------------------------- */

/* Which shade a point has: windows stand in their order in the grid. */
static unsigned shade_of(const struct grid *g, const struct grid_point *p)
{
    unsigned n = 0;
    for (const struct grid_point *q = g->points; q < p; q++)
        n += q->window_ms != q[1].window_ms;
    return n % SHADES;
}

/* Scores have shapes: 1 a triangle, 2 a circle, others a square. */
static void draw_shape(FILE *out, const char *class, unsigned score, double x, double y)
{
    if (score == 1)
        fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1f l4.5 8 h-9z\">", class, x, y - 5);
    else if (score == 2)
        fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\">", class, x, y);
    else
        fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1f h7 v7 h-7z\">", class, x - 3.5, y - 3.5);
}

static void end_shape(FILE *out, unsigned score)
{
    fprintf(out, "</%s>\n", score == 2 ? "circle" : "path");
}

static void draw_point(const struct canvas *c, const struct plot *p, const struct grid_point *q)
{
    char window[FINDINGS_PERIOD_MAX], class[16];
    snprintf(class, sizeof class, "w%u%s", shade_of(p->grid, q), q->frontier ? "" : " o");
    draw_shape(c->out, class, q->score, place(&c->x, q->extra), place(&c->y, q->saved));
    fprintf(c->out,
        "<title>window %s, score %u, confidence %u%%: saved %.1f%%, extra %+.1f%%</title>",
        findings_period(q->window_ms, window), q->score, q->confidence_percent, 100 * q->saved,
        100 * q->extra);
    end_shape(c->out, q->score);
}

/* The cheapest frontier point that costs more than `above`; NULL for none. */
static const struct grid_point *next_on_frontier(const struct grid *g, double above)
{
    const struct grid_point *next = NULL;
    for (size_t i = 0; i < g->n; i++) {
        const struct grid_point *q = &g->points[i];
        if (q->frontier && q->extra > above && (next == NULL || q->extra < next->extra))
            next = q;
    }
    return next;
}

static void draw_frontier(const struct canvas *c, const struct grid *g)
{
    const struct grid_point *q = next_on_frontier(g, -INFINITY);
    char letter = 'M';
    if (q == NULL || q->extra > c->far)
        return;
    fprintf(c->out, "<path class=\"f\" d=\"");
    for (; q != NULL && q->extra <= c->far; q = next_on_frontier(g, q->extra), letter = 'L')
        fprintf(c->out, "%c%.1f %.1f ", letter, place(&c->x, q->extra), place(&c->y, q->saved));
    fprintf(c->out, "\"/>\n");
}

static void draw_best(const struct canvas *c, const struct plot *p)
{
    const struct grid_point *q;
    if (p->grid->best == GRID_NONE)
        return;
    q = &p->grid->points[p->grid->best];
    fprintf(c->out, "<circle class=\"r\" cx=\"%.1f\" cy=\"%.1f\" r=\"9\"/>\n",
        place(&c->x, q->extra), place(&c->y, q->saved));
}

static void draw_given(const struct canvas *c, const struct plot *p)
{
    double x = place(&c->x, p->given.extra), y = place(&c->y, p->given.saved);
    fprintf(c->out, "<path class=\"x\" d=\"M%.1f %.1f l10 10 m0 -10 l-10 10\"/>\n", x - 5, y - 5);
}

static void draw_limit(const struct canvas *c, const struct plot *p)
{
    double x = place(&c->x, p->extra_max);
    fprintf(c->out, "<path class=\"m\" d=\"M%.1f %d V%d\"/>\n", x, TOP - 4, BOTTOM);
    fprintf(c->out,
        "<text class=\"s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%+.0f %%</text>\n", x,
        TOP - 9, 100 * p->extra_max);
}

/* ---- around it ------------------------------------------------------------------------------- */

static int draw_windows(FILE *out, const struct grid *g, int y)
{
    char window[FINDINGS_PERIOD_MAX];
    fprintf(out, "<text class=\"s\" x=\"%d\" y=\"%d\">window</text>\n", LEGEND_X, y);
    for (size_t i = 0; i < g->n; i++) {
        if (i > 0 && g->points[i].window_ms == g->points[i - 1].window_ms)
            continue;
        y += LEGEND_STEP;
        fprintf(out,
            "<circle class=\"w%u\" cx=\"%d\" cy=\"%d\" r=\"5\"/><text x=\"%d\" "
            "y=\"%d\">%s</text>\n",
            shade_of(g, &g->points[i]), LEGEND_X + 5, y - 4, LEGEND_X + 20, y,
            findings_period(g->points[i].window_ms, window));
    }
    return y;
}

static bool is_first_of_its_score(const struct grid *g, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (g->points[k].score == g->points[i].score)
            return false;
    return true;
}

static int draw_scores(FILE *out, const struct grid *g, int y)
{
    fprintf(out, "<text class=\"s\" x=\"%d\" y=\"%d\">score</text>\n", LEGEND_X, y);
    for (size_t i = 0; i < g->n; i++) {
        unsigned score = g->points[i].score;
        if (!is_first_of_its_score(g, i))
            continue;
        y += LEGEND_STEP;
        draw_shape(out, "k", score, LEGEND_X + 5, y - 4);
        end_shape(out, score);
        fprintf(out, "<text x=\"%d\" y=\"%d\">%u</text>\n", LEGEND_X + 20, y, score);
    }
    return y;
}

static void draw_legend(FILE *out, const struct grid *g)
{
    int y = draw_scores(out, g, draw_windows(out, g, TOP + 10) + 30);
    y += LEGEND_STEP + 10;
    fprintf(out,
        "<path class=\"f\" d=\"M%d %d h14\"/><text x=\"%d\" y=\"%d\">worth having</text>\n",
        LEGEND_X - 2, y - 4, LEGEND_X + 20, y);
    y += LEGEND_STEP;
    fprintf(out,
        "<circle class=\"r\" cx=\"%d\" cy=\"%d\" r=\"6\"/><text x=\"%d\" "
        "y=\"%d\">recommended</text>\n",
        LEGEND_X + 5, y - 4, LEGEND_X + 20, y);
    y += LEGEND_STEP;
    fprintf(out,
        "<path class=\"x\" d=\"M%d %d l10 10 m0 -10 l-10 10\"/><text x=\"%d\" y=\"%d\">as "
        "given</text>\n",
        LEGEND_X, y - 9, LEGEND_X + 20, y);
}

static void draw_summary(FILE *out, const struct plot *p)
{
    char window[FINDINGS_PERIOD_MAX];
    fprintf(out, "<text class=\"s\" x=\"%d\" y=\"46\">", LEFT);
    if (p->grid->best == GRID_NONE) {
        fprintf(out, "no setting saves anything within %+.0f %%", 100 * p->extra_max);
    } else {
        const struct grid_point *q = &p->grid->points[p->grid->best];
        fprintf(out, "window %s, score %u, confidence %u%%: saves %.1f %% for %+.1f %%",
            findings_period(q->window_ms, window), q->score, q->confidence_percent, 100 * q->saved,
            100 * q->extra);
    }
    fprintf(out, "</text>\n");
}

/* Bytes that are not plain text become a question mark. */
static void write_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
    }
}

static void draw(const struct plot *p, FILE *out)
{
    struct canvas c = canvas_of(p, out);
    fprintf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
        "viewBox=\"0 0 %d %d\">\n<title>",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    write_text(out, p->title);
    fprintf(out, "</title>\n<style>%s</style>\n<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n",
        style, WIDTH, HEIGHT);
    fprintf(out, "<text class=\"t\" x=\"%d\" y=\"26\">", LEFT);
    write_text(out, p->title);
    fprintf(out, "</text>\n");
    draw_summary(out, p);
    draw_x_axis(&c, p->grid);
    draw_y_axis(&c);
    draw_limit(&c, p);
    draw_frontier(&c, p->grid);
    for (size_t i = 0; i < p->grid->n; i++)
        if (p->grid->points[i].extra <= c.far)
            draw_point(&c, p, &p->grid->points[i]);
    draw_given(&c, p);
    draw_best(&c, p);
    draw_legend(out, p->grid);
    fprintf(out, "</svg>\n");
}

char *plot_svg(const struct plot *p, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (out == NULL)
        return NULL;
    draw(p, out);
    bool failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    if (!failed)
        return text;
    free(text);
    return NULL;
}
