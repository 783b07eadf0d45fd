/* findings.c: knows the rows of the table and the members of the JSON.
 * Never knows traces or predictors but by what was counted. */
#include "tools/findings.h"

#include "quantity.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static const char *form_name(enum trace_form form)
{
    static const char *const names[] = {[TRACE_UNKNOWN] = "unknown",
        [TRACE_TEXT] = "text",
        [TRACE_DNSMASQ] = "dnsmasq",
        [TRACE_UNBOUND] = "unbound",
        [TRACE_DNSD] = "dnsd",
        [TRACE_PCAP] = "pcap"};
    return names[form];
}

const char *findings_period(uint64_t ms, char out[FINDINGS_PERIOD_MAX])
{
    uint64_t n = ms;
    const char *unit = "ms";
    if (ms > 0 && ms % QUANTITY_MINUTE_MS == 0) {
        n = ms / QUANTITY_MINUTE_MS;
        unit = "m";
    } else if (ms % QUANTITY_SECOND_MS == 0) {
        n = ms / QUANTITY_SECOND_MS;
        unit = "s";
    }
    snprintf(out, FINDINGS_PERIOD_MAX, "%" PRIu64 "%s", n, unit);
    return out;
}

static uint64_t span_ms(const struct trace *t)
{
    size_t n = trace_n_events(t);
    assert(n > 0); /* else there was nothing to rehearse */
    return trace_events(t)[n - 1].at_ms - trace_events(t)[0].at_ms;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void print_span(uint64_t ms, FILE *out)
{
    uint64_t minutes = ms / QUANTITY_MINUTE_MS;
    if (minutes < 2)
        fprintf(out, "%.1f seconds", (double)ms / (double)QUANTITY_SECOND_MS);
    else if (minutes < 120)
        fprintf(out, "%.1f minutes", (double)ms / (double)QUANTITY_MINUTE_MS);
    else if (minutes < (uint64_t)48 * 60)
        fprintf(out, "%.1f hours", (double)ms / (double)QUANTITY_HOUR_MS);
    else
        fprintf(out, "%.1f days", (double)ms / (double)QUANTITY_DAY_MS);
}

static void print_left_out(const struct trace_counts *n, FILE *out)
{
    bool packets = n->form == TRACE_PCAP;
    if (n->other > 0)
        fprintf(out, "  %zu %s hold no question\n", n->other, packets ? "packets" : "lines");
    if (n->local > 0)
        fprintf(
            out, "  %zu questions are left out: dnsd answers or refuses them itself\n", n->local);
    if (n->repeats > 0)
        fprintf(out, "  %zu questions are left out: retransmissions\n", n->repeats);
    if (n->cut > 0)
        fprintf(out, "  %zu packets are left out: cut short, or not DNS\n", n->cut);
    if (n->torn > 0)
        fprintf(out, "  %zu TCP streams are left out from where a segment is missing\n", n->torn);
    if (n->whole_seconds)
        fprintf(out, "  times are whole seconds: questions of one second are spread over it\n");
}

static void print_head(const struct findings *f, FILE *out)
{
    size_t questions = trace_n_events(f->trace), clients = trace_n_clients(f->trace);
    fprintf(out, "%s: %zu question%s of %zu client%s in ", f->path, questions,
        questions == 1 ? "" : "s", clients, clients == 1 ? "" : "s");
    print_span(span_ms(f->trace), out);
    fputc('\n', out);
    print_left_out(trace_counts(f->trace), out);
}

static void print_setting(
    uint64_t window_ms, unsigned score, unsigned confidence_percent, FILE *out)
{
    char window[FINDINGS_PERIOD_MAX];
    fprintf(out, "-predict-window %s -predict-score %u -predict-confidence %u%%",
        findings_period(window_ms, window), score, confidence_percent);
}

static void print_count(const char *what, uint64_t n, const char *note, FILE *out)
{
    fprintf(out, "%-16s %10" PRIu64 "    %s\n", what, n, note);
}

static void print_result(const struct findings *f, FILE *out)
{
    const struct rehearsal *r = f->result;
    double saved_s = (double)r->saved_ms / 1000;
    print_count("queries", r->queries, "", out);
    print_count("upstream", r->upstream, "without prediction", out);
    print_count("waits", r->waits, "of these, but for the first after 5 s of silence", out);
    fprintf(out, "%-16s %10.2f %%  of the waiting\n", "saved",
        100 * rehearsal_saved(r, f->conf->rtt_ms));
    print_count("prefetches", r->prefetches, "", out);
    fprintf(out, "%-16s %10.2f %%  asked for within the window\n", "precision",
        100 * rehearsal_precision(r));
    fprintf(out, "%-16s %+10.2f %%  upstream\n", "extra", 100 * rehearsal_extra(r));
    print_count("pairs", r->pairs_peak, "at the peak", out);
    print_count("bytes", r->bytes_peak, "at the peak", out);
    fprintf(out, "%-16s %10.1f ms of the %" PRIu64 " ms that a wait takes\n", "time saved",
        r->waits > 0 ? (double)r->saved_ms / (double)r->waits : 0, f->conf->rtt_ms);
    fprintf(out, "%-16s %10.1f s  in all, %.1f s for a client\n", "", saved_s,
        saved_s / (double)trace_n_clients(f->trace));
    if (r->shed > 0)
        print_count("shed", r->shed, "prefetches, for want of budget or room", out);
    if (r->unlisted > 0)
        print_count("unlisted", r->unlisted, "queries not learned from, for want of room", out);
    if (r->evictions > 0)
        print_count("evictions", r->evictions, "of fresh answers, for want of room", out);
}

static int by_extra(const void *a, const void *b)
{
    const struct grid_point *x = *(const struct grid_point *const *)a,
                            *y = *(const struct grid_point *const *)b;
    return (x->extra > y->extra) - (x->extra < y->extra);
}

static void print_point(const struct grid_point *p, bool best, FILE *out)
{
    char window[FINDINGS_PERIOD_MAX];
    fprintf(out, "%c %7s  %5u  %9u%%  %7.2f %%  %+7.2f %%  %7.2f %%  %10" PRIu64 "  %9zu\n",
        best ? '>' : ' ', findings_period(p->window_ms, window), p->score, p->confidence_percent,
        100 * p->saved, 100 * p->extra, 100 * rehearsal_precision(&p->result), p->result.prefetches,
        p->result.pairs_peak);
}

static void print_best(const struct findings *f, FILE *out)
{
    const struct grid *g = f->grid;
    if (g->best == GRID_NONE) {
        fprintf(out, "\nno setting saves anything within %+.0f %%\n", 100 * f->extra_max);
        return;
    }
    const struct grid_point *p = &g->points[g->best];
    fprintf(out, "\nrecommended within %+.0f %%:\n    ", 100 * f->extra_max);
    print_setting(p->window_ms, p->score, p->confidence_percent, out);
    fprintf(out, "\n    saves %.2f %% for %+.2f %%\n", 100 * p->saved, 100 * p->extra);
}

/* Only the settings that are worth having, the cheapest first. 0 or -1. */
static int print_grid(const struct findings *f, FILE *out)
{
    const struct grid *g = f->grid;
    const struct grid_point **points = calloc(g->n + 1, sizeof(const struct grid_point *));
    size_t n = 0;
    if (points == NULL)
        return -1;
    for (size_t i = 0; i < g->n; i++)
        if (g->points[i].frontier)
            points[n++] = &g->points[i];
    qsort(points, n, sizeof(const struct grid_point *), by_extra);
    fprintf(out,
        "\nOf %zu settings %zu %s worth having: none saves more for as little.\n\n"
        "   window  score  confidence      saved      extra  precision  prefetches      pairs\n",
        g->n, n, n == 1 ? "is" : "are");
    for (size_t i = 0; i < n; i++)
        print_point(points[i], (size_t)(points[i] - g->points) == g->best, out);
    free(points);
    print_best(f, out);
    return 0;
}

int findings_print(const struct findings *f, FILE *out)
{
    const struct predict_conf *c = &f->conf->prediction;
    print_head(f, out);
    fputc('\n', out);
    print_setting(c->window_ms, c->score, c->confidence_percent, out);
    fputs("\n\n", out);
    print_result(f, out);
    return f->grid != NULL ? print_grid(f, out) : 0;
}

/* ---- for programs ---------------------------------------------------------------------------- */

static json_int_t integer(uint64_t n)
{
    return (json_int_t)n;
}

static json_t *setting_json(uint64_t window_ms, unsigned score, unsigned confidence_percent)
{
    return json_pack("{s:I,s:i,s:i}", "window_ms", integer(window_ms), "score", (int)score,
        "confidence_percent", (int)confidence_percent);
}

static json_t *result_json(const struct rehearsal *r, uint64_t rtt_ms)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:f,s:I,s:f,s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:I}", "queries",
        integer(r->queries), "upstream", integer(r->upstream), "upstream_predicted",
        integer(r->upstream_predicted), "waits", integer(r->waits), "saved",
        rehearsal_saved(r, rtt_ms), "prefetches", integer(r->prefetches), "precision",
        rehearsal_precision(r), "in_window", integer(r->in_window), "extra", rehearsal_extra(r),
        "saved_ms", integer(r->saved_ms), "pairs_peak", integer(r->pairs_peak), "bytes_peak",
        integer(r->bytes_peak), "shed", integer(r->shed), "unlisted", integer(r->unlisted),
        "evictions", integer(r->evictions));
}

static json_t *trace_json(const struct findings *f)
{
    const struct trace_counts *n = trace_counts(f->trace);
    return json_pack("{s:o*,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b}", "file",
        json_string(f->path), "form", form_name(n->form), "questions",
        integer(trace_n_events(f->trace)), "clients", integer(trace_n_clients(f->trace)), "span_ms",
        integer(span_ms(f->trace)), "other", integer(n->other), "local", integer(n->local),
        "repeats", integer(n->repeats), "cut", integer(n->cut), "torn", integer(n->torn),
        "times_back", integer(n->back), "whole_seconds", n->whole_seconds);
}

static json_t *point_json(const struct grid_point *p, uint64_t rtt_ms)
{
    return json_pack("{s:o,s:o,s:b}", "setting",
        setting_json(p->window_ms, p->score, p->confidence_percent), "result",
        result_json(&p->result, rtt_ms), "frontier", p->frontier);
}

/* 0 or -1. */
static int add_grid(json_t *all, const struct findings *f)
{
    const struct grid *g = f->grid;
    json_t *points = json_array();
    int failed = 0;
    for (size_t i = 0; i < g->n; i++)
        failed |= json_array_append_new(points, point_json(&g->points[i], f->conf->rtt_ms));
    failed |= json_object_set_new(all, "grid", points);
    failed |= json_object_set_new(all, "extra_max", json_real(f->extra_max));
    failed |= json_object_set_new(all, "recommended",
        g->best == GRID_NONE ? json_null() : point_json(&g->points[g->best], f->conf->rtt_ms));
    return failed == 0 ? 0 : -1;
}

/* Measured first: json_dumps may leave out what it has no memory for, and say nothing. */
static int print_whole(const json_t *all, FILE *out)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(9);
    size_t len = json_dumpb(all, NULL, 0, flags);
    char *text = malloc(len + 1);
    if (text == NULL || len == 0 || json_dumpb(all, text, len, flags) != len) {
        free(text);
        return -1;
    }
    text[len] = '\n';
    fwrite(text, 1, len + 1, out);
    free(text);
    return 0;
}

int findings_print_json(const struct findings *f, FILE *out)
{
    const struct predict_conf *c = &f->conf->prediction;
    json_t *all =
        json_pack("{s:o,s:I,s:o,s:o}", "trace", trace_json(f), "rtt_ms", integer(f->conf->rtt_ms),
            "setting", setting_json(c->window_ms, c->score, c->confidence_percent), "result",
            result_json(f->result, f->conf->rtt_ms));
    bool failed = all == NULL || (f->grid != NULL && add_grid(all, f) < 0);
    failed = failed || print_whole(all, out) < 0;
    json_decref(all);
    return failed ? -1 : 0;
}
