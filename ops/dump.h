/* dump.h: what prediction has learned, as text: a graph to look at and a table to compute with.
 * It tells what clients asked, so its files are private. */
#ifndef DNSD_OPS_DUMP_H
#define DNSD_OPS_DUMP_H

#include "predict.h"

#include <sys/types.h>

/* Writes path in the language of Graphviz, and path with ".tsv" behind it as a table with a line of
 * headings and a line for each dependency, separated by tabs:
 *
 *     trigger, dependency   name and type; DO or CD where the question had that bit; a class that
 *                           is not IN as CLASS and its number
 *     score, windows, seen  as in predict.h
 *     lag_ms, clients
 *
 * Names are escaped (\DDD). Each file is replaced as one step. 0, or -1 with errno. Waits for the
 * disk. */
int dump_write(const struct predict *p, const char *path);

/* The same in a process of its own, which sees everything as it is now and keeps nobody waiting.
 * Its exit status is 0 or an errno. Returns its pid for the caller to wait for, or -1 with errno.
 */
pid_t dump_start(const struct predict *p, const char *path);

#endif
