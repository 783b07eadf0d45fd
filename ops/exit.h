/* exit.h: what the exit code of dnsd says; dnsmasq's, so that scripts know them. */
#ifndef DNSD_OPS_EXIT_H
#define DNSD_OPS_EXIT_H

enum exit_code { EXIT_OK = 0, EXIT_CONF = 1, EXIT_NET = 2, EXIT_FILE = 3, EXIT_MEMORY = 4 };

#endif
