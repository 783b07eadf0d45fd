/* tree.h: a page load as a tree of names: which name is asked after the answer to which other.
 * Knows the form of a TREE file; never files, time or sockets.
 *
 * A line has three fields between tabs or blanks:
 *
 *     name    parent, or -    milliseconds after the parent's answer
 *
 * A parent may stand above or below its children. Names with the parent - are asked first, their
 * milliseconds counted from the start of the visit; - is 0. Negative: the name was asked while the
 * parent's page was still coming in. Empty lines and lines that begin with # do not count. */
#ifndef DNSD_TOOLS_TREE_H
#define DNSD_TOOLS_TREE_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

#define TREE_NAMES_MAX    4096
#define TREE_DELAY_MAX_MS 600000
#define TREE_NONE         SIZE_MAX

struct tree_node {
    uint8_t name[WIRE_NAME_MAX]; /* as spelled in the file */
    size_t name_len;
    size_t line;
    int32_t delay_ms;
    size_t parent; /* TREE_NONE at the top */
    size_t first_child;
    size_t next_sibling; /* of the top nodes too; node 0 need not be one of them */
};

struct tree; /* at least one node, and no cycle */

/* Called for each mistake with its line (from 1; 0: the whole file) and what is wrong. */
typedef void tree_report(void *ctx, size_t line, const char *why);

/* Reads a TREE file. NULL when there was a mistake or memory is out; all are reported. */
struct tree *tree_read(const char *text, size_t len, tree_report *report, void *ctx);
void tree_free(struct tree *t);

/* The nodes, in the order of their lines; owned by the tree. */
const struct tree_node *tree_nodes(const struct tree *t, size_t *n);

/* The first of the nodes without a parent; the others are its siblings. */
size_t tree_first(const struct tree *t);

#endif
