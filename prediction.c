/* prediction.c: knows which option is which setting of the predictor, and what no option sets.
 * Never knows the rule, or where the options came from. */
#include "prediction.h"

struct predict_conf prediction_conf(const struct conf *c)
{
    struct predict_conf p;
    if (c->predict_rules == CONF_RULES_SEED)
        predict_conf_seed(&p);
    else
        predict_conf_default(&p);
    p.window_ms = c->predict_window_ms;
    p.score = c->predict_score;
    p.confidence_percent = c->predict_confidence_percent;
    p.scope = c->predict_scope == CONF_SCOPE_CLIENT ? PREDICT_SCOPE_CLIENT : PREDICT_SCOPE_GLOBAL;
    p.cap = c->predict_cap;
    p.share = c->predict_share;
    p.budget_percent = c->predict_budget_percent;
    p.control_percent = c->predict_control_percent;
    p.bytes_max = PREDICTION_BYTES;
    return p;
}
