# dnsd: build, test, install. `make help` lists what there is.
# Lists of files are explicit: what a program is made of can be read here.

VERSION = 0.1.0

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
CC      ?= cc
# WERROR=-Werror in CI; a user's newer compiler may know more warnings than ours.
WERROR  ?=
SAN     ?=

CPPFLAGS += -D_GNU_SOURCE -DDNSD_VERSION='"$(VERSION)"' -I.
CFLAGS   ?= -O2 -g
CFLAGS   += -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes $(WERROR) -fno-strict-aliasing -fstack-protector-strong $(SAN)
LDFLAGS  += $(SAN)

# The pure modules: no socket, no libev, no clock, no printing (tests/layers).
PURE = addr rng wire cache predict poison special conf server flight query
NET  = net/clock net/turn net/sockaddr net/udp net/tcp net/exchange_udp net/exchange_tcp \
       net/exchange net/resolvconf
OPS  = ops/log ops/querylog ops/stats ops/privilege ops/savefile
DNSD = dnsd $(PURE) $(NET) $(OPS)
LIBS = -lev -lsodium -lzscanner -lsystemd

# Unit tests: each program, and the modules that it links. The list measures the coupling.
UNIT = addr rng wire cache predict poison special conf server resolvconf savefile
UNIT_addr       = addr
UNIT_rng        = rng
UNIT_wire       = wire
UNIT_cache      = cache
UNIT_predict    = predict
UNIT_poison     = poison wire
UNIT_special    = special wire
UNIT_conf       = conf addr
UNIT_server     = server addr
UNIT_resolvconf = net/resolvconf addr
UNIT_savefile   = ops/savefile
CHECK_LIBS = -lcheck -lsubunit -lm -lrt -lpthread -lsodium -lzscanner -lev

all: $(BUILD)/dnsd

$(BUILD)/dnsd: $(DNSD:%=$(BUILD)/%.o)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# $(BUILD)/unit/NAME from tests/unit/NAME.c and its modules
define UNIT_RULE
$(BUILD)/unit/$(1): $(BUILD)/tests/unit/$(1).o $(UNIT_$(1):%=$(BUILD)/%.o)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(CHECK_LIBS)
.PHONY: unit/$(1)
unit/$(1): $(BUILD)/unit/$(1)
	$(BUILD)/unit/$(1)
endef
$(foreach t,$(UNIT),$(eval $(call UNIT_RULE,$(t))))

# What is made from conf.c's table: the manual's list of options, the completion for bash.
$(BUILD)/optlist: $(BUILD)/tools/optlist.o $(BUILD)/conf.o $(BUILD)/addr.o
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/dnsd.bash: $(BUILD)/optlist
	$(BUILD)/optlist bash > $@

man: $(BUILD)/optlist
	$(BUILD)/optlist mdoc > $(BUILD)/options.mdoc
	sed -i -e '/^\.\\" BEGIN options/r $(BUILD)/options.mdoc' \
	    -e '/^\.\\" BEGIN options/,/^\.\\" END options/{/BEGIN options\|END options/!d;}' man/dnsd.8

clean:
	rm -rf $(BUILD)

.PHONY: all man clean
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
