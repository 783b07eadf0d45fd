/* forward.c: reads resolv.conf when it has to and hands its servers on.
 * Knows what to do while the file cannot be read; never a server's answers. */
#include "ops/forward.h"

#include "ops/log.h"
#include "ops/reader.h"

#include <errno.h>
#include <string.h>

#define AGAIN_MS 5000 /* until resolv.conf is tried again that could not be read */

static void on_mistake(void *ctx, size_t line, const char *word, const char *why)
{
    const struct forward *f = ctx;
    log_warning("%s:%zu: %s: %s", f->conf->resolv_file, line, word, why);
}

static void use_servers(const struct forward *f, const struct addr *list, size_t n, bool trust_ad)
{
    struct server_conf conf[SERVERS_MAX];
    char text[ADDR_TEXT_MAX];
    size_t n_conf = 0;
    for (size_t i = 0; i < n && n_conf < SERVERS_MAX; i++) {
        addr_format(&list[i], text);
        if (f->is_self(f->ctx, &list[i])) {
            log_warning("server %s is dnsd itself and is left out", text);
            continue;
        }
        log_info("forwarding to %s", text);
        conf[n_conf++] = (struct server_conf){.addr = list[i], .trust_ad = trust_ad};
    }
    if (n_conf == 0)
        log_warning("there is no server to forward to: questions that are neither overridden nor "
                    "cached get SERVFAIL");
    servers_set(f->servers, conf, n_conf, turn_now_ms(f->turn));
}

/* The file may be as good as ever and we be at fault, or who opens it: the servers stay. */
static void keep_servers(struct forward *f, int error)
{
    f->due_ms = turn_now_ms(f->turn) + AGAIN_MS;
    if (error == f->error)
        return;
    f->error = error;
    log_warning("%s: %s; the servers stay as they are, and it is tried again every %d seconds",
        f->conf->resolv_file, strerror(error), AGAIN_MS / 1000);
    if (servers_count(f->servers) == 0)
        use_servers(f, NULL, 0, false); /* says so */
}

/* Without the file there are none. */
static void find_servers(struct forward *f)
{
    const struct conf *c = f->conf;
    struct resolvconf_servers r = {.n = 0};
    f->due_ms = UINT64_MAX;
    if (!c->forward)
        return;
    if (c->n_servers > 0) {
        use_servers(f, c->servers, c->n_servers, c->trust_ad);
        return;
    }
    int fd = config_open(f->config, c->resolv_file);
    bool failed = fd < 0 || resolvconf_read_open(fd, &r, on_mistake, f) < 0;
    if (failed && errno != ENOENT) {
        keep_servers(f, errno);
        return;
    }
    f->error = 0;
    if (failed)
        log_warning("%s: %s", c->resolv_file, strerror(errno));
    log_debug("%s read: %zu servers%s", c->resolv_file, r.n, r.trust_ad ? ", trust-ad" : "");
    use_servers(f, r.addr, r.n, r.trust_ad || c->trust_ad);
}

uint64_t forward_due_ms(void *ctx)
{
    return ((const struct forward *)ctx)->due_ms;
}

void forward_again(void *ctx, uint64_t now_ms)
{
    struct forward *f = ctx;
    (void)now_ms;
    reader_begin(f->config->reader);
    find_servers(f);
}

static void on_changed(void *ctx)
{
    struct forward *f = ctx;
    log_info("%s has changed", f->conf->resolv_file);
    reader_begin(f->config->reader);
    find_servers(f);
}

static void watch(struct forward *f)
{
    resolvconf_unwatch(f->watch);
    f->watch = NULL;
    if (!f->conf->forward || f->conf->n_servers > 0)
        return;
    f->watch = resolvconf_watch(f->loop, f->conf->resolv_file, on_changed, f);
    if (f->watch == NULL)
        log_warning("%s is not watched: memory is out", f->conf->resolv_file);
}

void forward_use(struct forward *f, const struct conf *conf)
{
    f->conf = conf;
    f->error = 0; /* what was told is of the one before */
    watch(f);     /* first, so that no change is lost */
    find_servers(f);
}

void forward_close(struct forward *f)
{
    resolvconf_unwatch(f->watch);
    f->watch = NULL;
}
