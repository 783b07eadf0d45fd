# bench/bench.mk: programs and targets of bench/; included by the Makefile.

BENCH = floor firstanswer load idle cost eviction
BENCH_floor       = bench/floor
BENCH_firstanswer = bench/firstanswer
BENCH_load        = bench/load
BENCH_idle        = bench/idle
BENCH_cost        = bench/cost $(PURE)
BENCH_eviction    = bench/eviction cache

define BENCH_RULE
$(BUILD)/bench/$(1): $(BENCH_$(1):%=$(BUILD)/%.o)
	@mkdir -p $$(@D)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ -lsodium -lzscanner -lm
endef
$(foreach b,$(BENCH),$(eval $(call BENCH_RULE,$(b))))

BENCH_PROGRAMS = $(BENCH:%=$(BUILD)/bench/%)
build-bench: $(BUILD)/dnsd $(BENCH_PROGRAMS)

# dnsd against its peers and the floor; a quarter of an hour for five rounds (bench/README.md).
bench:
	@packaging/deps.sh bench
	@$(MAKE) $(JOBS) build-bench
	@BUILD=$(BUILD) bench/run

# dnsd, the floor and one peer, in under a minute.
bench-quick:
	@packaging/deps.sh bench
	@$(MAKE) $(JOBS) build-bench
	@BUILD=$(BUILD) bench/run quick

# What prediction gains on page loads, beside servers that only cache; four minutes.
bench-predict:
	@packaging/deps.sh predict
	@$(MAKE) $(JOBS) $(BUILD)/dnsd $(BUILD)/dnssequence $(BUILD)/slowserver
	@BUILD=$(BUILD) TRACES=$(TRACES) bench/predict

# How cost grows with names, clients, connections and pairs.
bench-growth:
	@packaging/deps.sh bench
	@$(MAKE) $(JOBS) build-bench
	@BUILD=$(BUILD) bench/growth

# What prediction saves on recorded page loads: the table of dnsrehearse(1). TRY: options of dnsd.
bench-rule:
	@packaging/deps.sh rule
	@$(MAKE) $(JOBS) $(BUILD)/dnsrehearse
	@BUILD=$(BUILD) TRACES=$(TRACES) bench/rule $(TRY)

# Hit ratios of cache.c against SIEVE, CLOCK, LRU and FIFO: the table in bench/README.md.
TRACES = ../shared/traces
bench-eviction: $(BUILD)/bench/eviction
	$(BUILD)/bench/eviction $(wildcard $(TRACES)/pages.tsv $(TRACES)/manysites.tsv)

# Instructions a question, against the recorded figures; fails where one is 5 % above.
check-cost:
	@packaging/deps.sh cost
	@$(MAKE) $(JOBS) $(BUILD)/bench/cost
	@CC='$(CC)' BUILD=$(BUILD) bench/check-cost

.PHONY: build-bench bench bench-quick bench-growth bench-predict bench-rule bench-eviction \
        check-cost
