/* tree.c: fuzzes what the tools read of names: TREE files and tables of TTLs. Knows tools/tree.h
 * and tools/ttls.h. */
#include "tools/tree.h"
#include "tests/fuzz/text.h"
#include "tools/ttls.h"

static void mistake(void *ctx, size_t line, const char *why)
{
    text_mistake(ctx, line, why, 4096);
}

/* Every node hangs at the top or among its parent's children, once. */
static void tree_is_sound(const struct tree *t)
{
    size_t n, reached = 0;
    const struct tree_node *nodes = tree_nodes(t, &n);
    FUZZ_MUST(n > 0 && n <= TREE_NAMES_MAX);
    for (size_t i = tree_first(t); i != TREE_NONE; i = nodes[i].next_sibling) {
        FUZZ_MUST(i < n && nodes[i].parent == TREE_NONE && ++reached <= n);
    }
    for (size_t i = 0; i < n; i++) {
        const struct tree_node *node = &nodes[i];
        size_t steps = 0;
        FUZZ_MUST(wire_name_len(node->name, node->name_len) == node->name_len);
        FUZZ_MUST(node->delay_ms <= TREE_DELAY_MAX_MS && node->delay_ms >= -TREE_DELAY_MAX_MS);
        for (size_t up = i; up != TREE_NONE; up = nodes[up].parent)
            FUZZ_MUST(up < n && ++steps <= n);
        for (size_t c = node->first_child; c != TREE_NONE; c = nodes[c].next_sibling)
            FUZZ_MUST(c < n && nodes[c].parent == i && ++reached <= n);
    }
    FUZZ_MUST(reached == n);
}

static void as_tree(const char *text, size_t len)
{
    struct text_report r = text_report_of((const uint8_t *)text, len);
    struct tree *t = tree_read(text, len, mistake, &r);
    FUZZ_MUST((t == NULL) == (r.n > 0));
    if (t != NULL)
        tree_is_sound(t);
    tree_free(t);
}

static void as_ttls(const char *text, size_t len)
{
    static const uint8_t name[] = "\1a\7example";
    struct text_report r = text_report_of((const uint8_t *)text, len);
    struct ttls *t = ttls_read(text, len, mistake, &r);
    uint32_t ttl_s = 5;
    FUZZ_MUST((t == NULL) == (r.n > 0));
    bool found = ttls_get(t, name, sizeof name, &ttl_s);
    FUZZ_MUST(found ? ttl_s <= TTLS_MAX_S : ttl_s == 5);
    ttls_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_tree((const char *)data, size);
    as_ttls((const char *)data, size);
    return 0;
}

/* Texts are in seeds/tree and trees/. */
void fuzz_seeds(void)
{
}
