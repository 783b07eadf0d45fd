/* capture.h: captures of packets (pcap, pcapng), to the questions in them.
 * Knows link layers, IP, UDP and TCP as they lie in packets; never what is done with a question. */
#ifndef DNSD_TOOLS_CAPTURE_H
#define DNSD_TOOLS_CAPTURE_H

#include "tools/trace.h"

#include <stdio.h>

/* As trace_read, for a capture. The file is closed. */
enum trace_result capture_read(struct trace *t, FILE *file, const struct trace_source *source);

#endif
