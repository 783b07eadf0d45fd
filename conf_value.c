/* conf_value.c: values of each kind: from text, into their field of struct conf, and compared.
 * Knows what each kind is stored as; never which options there are. */
#include "conf_parts.h"

#include "quantity.h"

#include <string.h>

static bool read_word(const char *const *words, const char *text, uint64_t *out)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* What getpwnam could know: no blanks, no colon, nothing unprintable, no dash in front. */
static bool is_user_name(const char *text)
{
    if (text[0] == '-')
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == ':' || *c == '/')
            return false;
    return true;
}

static bool is_text_shorter(const char *text, size_t cap)
{
    size_t len = strlen(text);
    return len > 0 && len < cap;
}

bool conf_value_read(const struct conf_option *row, const char *text, struct conf_value *v)
{
    *v = (struct conf_value){.text = text};
    switch (row->kind) {
    case SWITCH:
    case WORD:
        return read_word(row->shown.words, text, &v->number);
    case COUNT:
    case PORT:
        return quantity_read(QUANTITY_COUNT, text, row->min, row->max, &v->number);
    case PERCENT:
        return quantity_read(QUANTITY_PERCENT, text, row->min, row->max, &v->number);
    case PERIOD:
        return quantity_read(QUANTITY_PERIOD, text, row->min, row->max, &v->number);
    case LIFETIME:
        return quantity_read(QUANTITY_PERIOD, text, row->min, row->max, &v->number) &&
               v->number % QUANTITY_SECOND_MS == 0;
    case SIZE:
        return quantity_read(QUANTITY_SIZE, text, row->min, row->max, &v->number);
    case PATH:
        return is_text_shorter(text, CONF_PATH_MAX);
    case USER:
        return is_text_shorter(text, sizeof(((struct conf *)NULL)->user)) && is_user_name(text);
    case SERVERS:
        return addr_parse(text, 53, &v->addr) == 0 && !addr_is_unspecified(&v->addr);
    case LISTEN:
        return addr_parse(text, 0, &v->addr) == 0;
    case NETS:
        return addr_net_parse(text, &v->net) == 0;
    case NAMES:
        return rebind_name_parse(text, &v->name) == 0;
    }
    return false;
}

/* Adds to a list. Returns NULL, or why not. */
static const char *add_addr(struct addr *list, size_t *n, size_t max, const struct addr *a)
{
    for (size_t i = 0; i < *n; i++)
        if (addr_equal(&list[i], a))
            return "this address is in the list already";
    if (*n == max)
        return max == CONF_SERVERS_MAX ? "too many: expected at most 16 servers"
                                       : "too many: expected at most 64 addresses";
    list[(*n)++] = *a;
    return NULL;
}

static const char *add_net(struct conf *c, const struct addr_net *net)
{
    for (size_t i = 0; i < c->n_allow; i++)
        if (c->allow[i].prefix_len == net->prefix_len &&
            memcmp(c->allow[i].ip, net->ip, sizeof(net->ip)) == 0)
            return "this network is in the list already";
    if (c->n_allow == CONF_LIST_MAX)
        return "too many: expected at most 64 networks";
    c->allow[c->n_allow++] = *net;
    return NULL;
}

static const char *add_name(struct conf *c, const struct rebind_name *name)
{
    for (size_t i = 0; i < c->n_rebind_allow; i++)
        if (c->rebind_allow[i].len == name->len &&
            memcmp(c->rebind_allow[i].wire, name->wire, name->len) == 0)
            return "this name is in the list already";
    if (c->n_rebind_allow == CONF_LIST_MAX)
        return "too many: expected at most 64 names";
    c->rebind_allow[c->n_rebind_allow++] = *name;
    return NULL;
}

const char *conf_value_store(
    const struct conf_option *row, const struct conf_value *v, struct conf *c)
{
    char *field = (char *)c + row->offset;
    conf_SWITCH on = v->number != 0;
    conf_COUNT number = (conf_COUNT)v->number;
    conf_PORT port = (conf_PORT)v->number;
    conf_LIFETIME seconds = (conf_LIFETIME)(v->number / QUANTITY_SECOND_MS);

    switch (row->kind) {
    case SWITCH:
        memcpy(field, &on, sizeof(on));
        return NULL;
    case COUNT:
    case PERCENT:
    case WORD:
        memcpy(field, &number, sizeof(number));
        return NULL;
    case PORT:
        memcpy(field, &port, sizeof(port));
        return NULL;
    case LIFETIME:
        memcpy(field, &seconds, sizeof(seconds));
        return NULL;
    case PERIOD:
    case SIZE:
        memcpy(field, &v->number, sizeof(v->number));
        return NULL;
    case PATH:
    case USER:
        memcpy(field, v->text, strlen(v->text) + 1);
        return NULL;
    case SERVERS:
        c->forward = true;
        if (v->text == NULL)
            return NULL;
        return add_addr(c->servers, &c->n_servers, CONF_SERVERS_MAX, &v->addr);
    case LISTEN:
        return add_addr(c->listen, &c->n_listen, CONF_LIST_MAX, &v->addr);
    case NETS:
        return add_net(c, &v->net);
    case NAMES:
        return add_name(c, &v->name);
    }
    return NULL;
}

static bool same_addrs(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!addr_equal(&a[i], &b[i]))
            return false;
    return true;
}

static bool same_nets(const struct conf *a, const struct conf *b)
{
    if (a->n_allow != b->n_allow)
        return false;
    for (size_t i = 0; i < a->n_allow; i++)
        if (a->allow[i].prefix_len != b->allow[i].prefix_len ||
            memcmp(a->allow[i].ip, b->allow[i].ip, sizeof(a->allow[i].ip)) != 0)
            return false;
    return true;
}

static bool same_names(const struct conf *a, const struct conf *b)
{
    if (a->n_rebind_allow != b->n_rebind_allow)
        return false;
    for (size_t i = 0; i < a->n_rebind_allow; i++)
        if (a->rebind_allow[i].len != b->rebind_allow[i].len ||
            memcmp(a->rebind_allow[i].wire, b->rebind_allow[i].wire, a->rebind_allow[i].len) != 0)
            return false;
    return true;
}

bool conf_value_same(const struct conf_option *row, const struct conf *a, const struct conf *b)
{
    const char *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;

    switch (row->kind) {
    case SWITCH:
        return memcmp(x, y, sizeof(conf_SWITCH)) == 0;
    case COUNT:
    case PERCENT:
    case WORD:
        return memcmp(x, y, sizeof(conf_COUNT)) == 0;
    case PORT:
        return memcmp(x, y, sizeof(conf_PORT)) == 0;
    case LIFETIME:
        return memcmp(x, y, sizeof(conf_LIFETIME)) == 0;
    case PERIOD:
    case SIZE:
        return memcmp(x, y, sizeof(conf_SIZE)) == 0;
    case PATH:
    case USER:
        return strcmp(x, y) == 0;
    case SERVERS:
        return a->forward == b->forward &&
               same_addrs(a->servers, a->n_servers, b->servers, b->n_servers);
    case LISTEN:
        return same_addrs(a->listen, a->n_listen, b->listen, b->n_listen);
    case NETS:
        return same_nets(a, b);
    case NAMES:
        return same_names(a, b);
    }
    return false;
}
