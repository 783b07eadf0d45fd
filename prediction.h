/* prediction.h: the predictor's settings, as the options say them.
 * Knows struct conf and struct predict_conf; never what either module does with them. */
#ifndef DNSD_PREDICTION_H
#define DNSD_PREDICTION_H

#include "conf.h"
#include "predict.h"

#define PREDICTION_BYTES ((size_t)16 << 20) /* memory for what is learned */

struct predict_conf prediction_conf(const struct conf *c);

#endif
