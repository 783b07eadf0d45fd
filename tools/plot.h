/* plot.h: a grid of settings as a picture: waits saved against extra questions.
 * Knows where a point lies and what SVG is; never how a point came about. */
#ifndef DNSD_TOOLS_PLOT_H
#define DNSD_TOOLS_PLOT_H

#include "tools/grid.h"

#include <stddef.h>

struct plot {
    const struct grid *grid; /* judged */
    const char *title;       /* any text */
    double extra_max;        /* a share, as in grid_judge */
    struct grid_point given; /* the setting that was asked for: its saved and extra */
};

/* The SVG, malloc'ed for the caller to free, and its length without the NUL. NULL when memory is
 * out. */
char *plot_svg(const struct plot *p, size_t *len);

#endif
