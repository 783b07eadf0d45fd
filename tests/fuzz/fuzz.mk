# tests/fuzz/fuzz.mk: libFuzzer targets: `make fuzz`; included by the Makefile.
# A target is tests/fuzz/NAME.c, which makes its binary seeds itself, with tests/fuzz/NAME.dict and,
# where the form is text, tests/fuzz/seeds/NAME/. FUZZ_NAME: the modules that it links. FUZZ_MAX_NAME:
# bytes of the longest input. FUZZ_FROM_NAME: what else is a seed, in place.

FUZZ = core message name edns poison conf resolvconf predictfile trace querylog capture tree tcp \
       exchange cache
FUZZ_name    = $(WIRE)
FUZZ_message = $(WIRE)
FUZZ_edns    = $(WIRE) server addr cookie
FUZZ_core    = $(PURE) tests/replay/world
LINK_fuzz_core = $(foreach f,malloc calloc,-Wl,--wrap=$(f))
FUZZ_cache   = cache
FUZZ_poison  = $(POISON) $(WIRE)
FUZZ_conf    = $(CONF) addr quantity rebind $(WIRE)
FUZZ_resolvconf  = net/resolvconf addr
FUZZ_predictfile = $(PREDICT)
FUZZ_trace    = $(TRACE)
FUZZ_querylog = ops/querylog ops/log $(LOGLINE) wire_answer wire_writer addr
FUZZ_capture  = $(TRACE)
FUZZ_tree     = tools/tree tools/ttls tools/field tools/hostname quantity $(WIRE)
FUZZ_tcp      = net/tcp net/turn net/sockaddr addr $(WIRE) ops/log tests/unit/fakedesk
FUZZ_exchange = net/exchange net/exchange_udp net/exchange_tcp net/turn net/sockaddr addr rng $(WIRE) \
                ops/log

FUZZ_MAX_name    = 600
FUZZ_MAX_message = 20000
FUZZ_MAX_edns    = 600
FUZZ_MAX_core    = 2000
FUZZ_MAX_cache   = 2000
FUZZ_MAX_poison  = 2000
FUZZ_MAX_conf    = 2000
FUZZ_MAX_resolvconf  = 2000
FUZZ_MAX_predictfile = 4000
FUZZ_MAX_trace    = 2000
FUZZ_MAX_querylog = 300
FUZZ_MAX_capture  = 2000
FUZZ_MAX_tree     = 2000
FUZZ_MAX_tcp      = 1000
FUZZ_MAX_exchange = 1000

CORPORA = ../shared/corpora
PACKETS = $(CORPORA)/bind9/fuzz/dns_message_parse.in $(CORPORA)/unbound/pkt $(CORPORA)/zeek/pkt \
          $(CORPORA)/c-ares/test/fuzzinput
FUZZ_FROM_name    = $(CORPORA)/bind9/fuzz/dns_name_fromwire.in $(PACKETS)
FUZZ_FROM_message = $(PACKETS)
FUZZ_FROM_poison  = poison.conf $(CORPORA)/bind9/fuzz/dns_master_load.in \
                    $(CORPORA)/bind9/fuzz/dns_rdata_fromtext.in
FUZZ_FROM_conf    = dnsd.conf
FUZZ_FROM_tree    = trees

# Seconds for each target; as many at a time as there are processors.
FUZZ_SECONDS ?= 60

define FUZZ_RULE
$(BUILD)/fuzz/$(1): $(BUILD)/tests/fuzz/$(1).o $(BUILD)/tests/fuzz/fuzz.o $(FUZZ_$(1):%=$(BUILD)/%.o)
	@mkdir -p $$(@D)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) $$(LINK_fuzz_$(1)) -fsanitize=fuzzer -o $$@ $$^ $$(FUZZ_LIBS)
endef
$(foreach f,$(FUZZ),$(eval $(call FUZZ_RULE,$(f))))
FUZZ_LIBS = -lsodium -lzscanner -lev -lpcap -lm

build-fuzz: $(FUZZ:%=$(BUILD)/fuzz/%)

# Programs are in $(BUILD)/fuzz/bin, what was found in $(BUILD)/fuzz/NAME. Built with clang's counters
# (SAN=-fprofile-instr-generate), a program leaves them there too.
FUZZ_BUILD = BUILD=$(BUILD)/fuzz/bin CC=clang SAN='-fsanitize=fuzzer-no-link $(SANITIZERS)'
fuzz-programs:
	@packaging/deps.sh fuzz
	@$(MAKE) $(JOBS) $(FUZZ_BUILD) build-fuzz

fuzz: fuzz-programs
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' LLVM_PROFILE_FILE='$(abspath $(BUILD))/fuzz/%p.profraw' \
	    tests/fuzz/run $(BUILD)/fuzz \
	    $(foreach f,$(FUZZ),'$(f) $(FUZZ_MAX_$(f)) $(wildcard $(FUZZ_FROM_$(f)))')

.PHONY: build-fuzz fuzz-programs fuzz
