# dnsd: build, test, install. `make help` lists what there is.
# Lists of files are explicit: what a program is made of can be read here.

VERSION = 0.1.0

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
CC      ?= cc
# WERROR=-Werror in CI; a user's newer compiler may know more warnings than ours.
WERROR  ?=
# V=1 shows whole commands.
Q   = $(if $(V),,@)
say = $(if $(V),:,printf '  %-4s %s\n' $(if $(filter %.o,$@),cc,link) $@)
SAN     ?=

CPPFLAGS += -D_GNU_SOURCE -DDNSD_VERSION='"$(VERSION)"' -I.
# -O3: a hit costs 7 % fewer instructions than with -O2.
CFLAGS   ?= -O3 -g
CFLAGS   += -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes $(WERROR) -fno-strict-aliasing -fstack-protector-strong $(SAN)
LDFLAGS  += $(SAN)

# The pure modules: no socket, no libev, no clock, no printing (tests/layers).
WIRE = wire wire_name wire_answer wire_writer
PREDICT = predict predict_vote predict_learn predict_sent predict_graph predict_sequence predict_burst predict_file
POISON = poison poison_text
CONF = conf conf_table conf_value
PURE = addr quantity rrtype rng $(WIRE) rebind cookie cache $(PREDICT) $(POISON) special $(CONF) prediction server flight query core
NET  = net/clock net/loop net/signals net/turn net/sockaddr net/udp net/tcp net/exchange_udp net/exchange_tcp \
       net/exchange net/resolvconf
OPS  = ops/log ops/querylog ops/trouble ops/stats ops/dump ops/learned ops/config ops/forward ops/privilege ops/sandbox \
       ops/sandbox_files ops/reader ops/savefile ops/writer
DNSD = dnsd $(PURE) $(NET) $(OPS)
LIBS = -lev -lsodium -lzscanner -lsystemd -lseccomp -lcap-ng

# Unit tests: each program, and the modules that it links. The list measures the coupling.
UNIT = addr quantity rrtype rng wire rebind cookie cache cache_check predict predict_parts predict_check poison \
       poison_check special conf server resolvconf savefile log querylog trouble stats dump learned writer privilege sandbox reader tree ttls \
       logline trace capture rehearsal findings stub visit report loop turn sockaddr udp tcp exchange
UNIT_addr       = addr
UNIT_quantity   = quantity
UNIT_rrtype     = rrtype quantity
UNIT_rng        = rng
UNIT_wire       = $(WIRE)
UNIT_rebind     = rebind $(WIRE)
UNIT_cookie     = cookie addr
UNIT_cache      = cache
UNIT_predict    = $(PREDICT)
# The x_check of a module, from inside: such a test includes the module's own .c file.
UNIT_predict_parts = $(PREDICT)
UNIT_cache_check   =
UNIT_poison_check  = poison_text $(WIRE)
UNIT_predict_check = $(filter-out predict,$(PREDICT)) tests/unit/scarce
LINK_predict_check = $(SCARCE)
LINK_predict    = $(foreach f,malloc calloc,-Wl,--wrap=$(f))
UNIT_poison     = $(POISON) $(WIRE)
LINK_poison     = $(foreach f,malloc calloc free zs_init,-Wl,--wrap=$(f))
UNIT_special    = special $(WIRE)
UNIT_conf       = $(CONF) addr quantity rebind $(WIRE)
UNIT_server     = server addr
UNIT_resolvconf = net/resolvconf addr
LINK_resolvconf = $(foreach f,malloc calloc strdup read,-Wl,--wrap=$(f))
UNIT_savefile   = ops/savefile
UNIT_log        = ops/log
UNIT_querylog   = ops/querylog ops/log $(WIRE) addr rrtype quantity
UNIT_trouble    = ops/trouble ops/querylog server addr rrtype quantity $(WIRE)
UNIT_stats      = ops/stats wire_name addr
UNIT_dump       = ops/dump ops/savefile ops/writer rrtype quantity $(WIRE)
UNIT_learned    = ops/learned ops/savefile ops/writer ops/log
UNIT_writer     = ops/writer
LINK_writer     = -Wl,--wrap=close_range
UNIT_privilege  = ops/privilege ops/log
LINK_privilege  = $(foreach f,initgroups setresgid setresuid getresuid getresgid capng_apply prctl getpwnam,\
                  -Wl,--wrap=$(f))
UNIT_sandbox    = ops/sandbox ops/sandbox_files ops/privilege ops/savefile ops/log
LINK_sandbox    = $(foreach f,syscall prctl sigaction seccomp_rule_add seccomp_rule_add_array,\
                  -Wl,--wrap=$(f))
UNIT_reader     = ops/reader ops/sandbox ops/sandbox_files ops/privilege ops/savefile ops/log $(CONF) addr quantity rebind $(WIRE)
LINK_reader     = $(foreach f,socketpair fork dup2 strdup sendmsg recv conf_create sandbox_enter,-Wl,--wrap=$(f))
UNIT_tree       = tools/tree tools/field tools/hostname quantity $(WIRE) tests/unit/scarce
LINK_tree       = $(SCARCE)
UNIT_ttls       = tools/ttls tools/field tools/hostname quantity $(WIRE) tests/unit/scarce
LINK_ttls       = $(SCARCE)
UNIT_stub       = tools/stub net/sockaddr addr $(WIRE) tests/unit/scarce
LINK_stub       = $(SCARCE) $(foreach f,socket getrandom ev_timer_again,-Wl,--wrap=$(f))
UNIT_visit      = tools/visit tools/tree tools/field tools/hostname quantity $(WIRE) tests/unit/scarce
LINK_visit      = $(SCARCE)
UNIT_report     = tools/report tests/unit/scarce
LINK_report     = $(SCARCE)
# What tests/unit/scarce.c stands before.
SCARCE          = $(foreach f,malloc calloc realloc,-Wl,--wrap=$(f))
UNIT_logline    = $(LOGLINE) addr
UNIT_trace      = $(TRACE) tests/unit/scarce
LINK_trace      = $(SCARCE) $(foreach f,getline __getdelim tmpfile,-Wl,--wrap=$(f))
UNIT_capture    = $(TRACE) tests/unit/scarce
LINK_capture    = $(SCARCE)
UNIT_rehearsal  = tools/grid tools/plot tools/findings $(REHEARSAL) $(CONF) rebind prediction tests/unit/scarce
LINK_rehearsal  = $(SCARCE) $(foreach f,sysconf pthread_create open_memstream,-Wl,--wrap=$(f))
UNIT_findings   = tools/findings $(REHEARSAL) tests/unit/scarce
LINK_findings   = $(SCARCE)
UNIT_loop       = net/loop ops/log
LINK_loop       = -Wl,--wrap=malloc
UNIT_turn       = net/turn net/clock
UNIT_sockaddr   = net/sockaddr addr
LINK_sockaddr   = $(foreach f,socket connect setsockopt getsockname,-Wl,--wrap=$(f))
UNIT_udp        = net/udp net/turn net/sockaddr addr ops/log tests/unit/fakedesk
UNIT_tcp        = net/tcp net/turn net/sockaddr addr $(WIRE) ops/log tests/unit/fakedesk tests/unit/scarce
UNIT_exchange   = net/exchange net/exchange_udp net/exchange_tcp net/turn net/sockaddr addr rng $(WIRE) ops/log tests/unit/scarce
LINK_savefile   = $(foreach f,fsync rename write fchmod close unlink open realloc,-Wl,--wrap=$(f))
LINK_exchange   = $(foreach f,connect bind setsockopt getsockopt recv recvmmsg,-Wl,--wrap=$(f)) $(SCARCE)
LINK_tcp        = $(SCARCE)
CHECK_LIBS = -lcheck -lsubunit -lm -lrt -lpthread -lsodium -lzscanner -lev -ljansson -lpcap -lseccomp -lcap-ng

# Tools: each program, the modules and the libraries that it links.
TOOLS = dnssequence dnsrehearse slowserver
TOOL_dnssequence = tools/dnssequence tools/report tools/visit tools/stub tools/tree tools/field \
                   tools/hostname quantity rrtype addr $(WIRE) net/sockaddr ops/savefile
LIBS_dnssequence = -lev -ljansson
TOOL_slowserver = tools/slowserver tools/ttls tools/field tools/hostname quantity addr $(WIRE) \
                  net/sockaddr ops/savefile
LIBS_slowserver = -lev
LOGLINE = tools/logline tools/timestamp tools/field tools/hostname quantity rrtype wire wire_name
TRACE = tools/trace tools/capture tools/logline tools/timestamp tools/field tools/hostname quantity rrtype \
        addr special $(WIRE)
REHEARSAL = tools/rehearsal tools/ttls cache $(PREDICT) $(TRACE)
TOOL_dnsrehearse = tools/dnsrehearse tools/findings tools/grid tools/plot $(REHEARSAL) $(CONF) rebind prediction \
                   ops/savefile
LIBS_dnsrehearse = -ljansson -lpcap -lsodium -lpthread -lm

all: $(BUILD)/dnsd $(BUILD)/dnssequence $(BUILD)/dnsrehearse

define TOOL_RULE
$(BUILD)/$(1): $(TOOL_$(1):%=$(BUILD)/%.o)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(1))
endef
$(foreach t,$(TOOLS),$(eval $(call TOOL_RULE,$(t))))

$(BUILD)/dnsd: $(DNSD:%=$(BUILD)/%.o)
	@$(say)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(say)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# $(BUILD)/unit/NAME from tests/unit/NAME.c and its modules
define UNIT_RULE
$(BUILD)/unit/$(1): $(BUILD)/tests/unit/$(1).o $(UNIT_$(1):%=$(BUILD)/%.o)
	@mkdir -p $$(@D)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) $$(LINK_$(1)) -o $$@ $$^ $$(CHECK_LIBS)
.PHONY: unit/$(1)
unit/$(1): $(BUILD)/unit/$(1)
	$(BUILD)/unit/$(1)
endef
$(foreach t,$(UNIT),$(eval $(call UNIT_RULE,$(t))))

# ---- tests ---------------------------------------------------------------------------------------

# Replay: the whole core on virtual time against a scripted upstream (tests/replay/world.c).
# REPLAY_x and SYSTEM_x are what a program links besides.
REPLAY = flight flight_check query query_check rebind cookie predict budget random hostile
REPLAY_hostile = tests/system/forgery
# Of the pure modules, those that a program includes to see them from inside.
INSIDE_flight_check = flight
INSIDE_query_check = query
LINK_replay_query = $(foreach f,malloc calloc,-Wl,--wrap=$(f))
# System: the real program, real sockets and other people's clients (tests/system/harness.c).
SYSTEM = hostile_upstream hostile_client predict upstream clients load service memory config faults \
         sandbox
SYSTEM_hostile_upstream = tests/system/liar tests/system/forgery tests/system/dissect
SYSTEM_hostile_client = tests/system/dissect
# Scripts that look at the tree; each ends with a closing line like Check's.
SCRIPTS = tests/layers tests/manual tests/unitfile tests/rules tests/sequence tests/rehearse

define REPLAY_RULE
$(BUILD)/replay/$(1): $(BUILD)/tests/replay/$(1).o $(BUILD)/tests/replay/world.o \
                      $(REPLAY_$(1):%=$(BUILD)/%.o) $(patsubst %,$(BUILD)/%.o,$(filter-out $(INSIDE_$(1)),$(PURE)))
	@mkdir -p $$(@D)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) $$(LINK_replay_$(1)) -o $$@ $$^ $$(CHECK_LIBS)
.PHONY: replay/$(1)
replay/$(1): $(BUILD)/replay/$(1)
	$(BUILD)/replay/$(1)
endef
$(foreach t,$(REPLAY),$(eval $(call REPLAY_RULE,$(t))))

define SYSTEM_RULE
$(BUILD)/system/$(1): $(BUILD)/tests/system/$(1).o $(BUILD)/tests/system/harness.o \
                      $(BUILD)/tests/system/peers.o $(SYSTEM_$(1):%=$(BUILD)/%.o)
	@mkdir -p $$(@D)
	@$$(say)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(CHECK_LIBS)
.PHONY: system/$(1)
system/$(1): $(BUILD)/system/$(1) $(BUILD)/dnsd
	BUILD=$(BUILD) $(BUILD)/system/$(1)
endef
$(foreach t,$(SYSTEM) soak,$(eval $(call SYSTEM_RULE,$(t))))

# What makes calls of the C library fail: for dnsd, so it is built without sanitizers. Alone it is a
# file that nobody asked for, but to its own test.
$(BUILD)/faults/%.so: tests/faults/%.c tests/faults/shim.h
	@mkdir -p $(@D)
	@$(say)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out $(SAN),$(CFLAGS)) -fPIC -shared -o $@ $<
$(BUILD)/system/faults: | $(BUILD)/faults/shim.so
# What an attacker does who got into dnsd.
$(BUILD)/system/sandbox: | $(BUILD)/faults/traitor.so

# The slow ones first.
PROGRAMS = $(SYSTEM:%=$(BUILD)/system/%) $(REPLAY:%=$(BUILD)/replay/%) $(UNIT:%=$(BUILD)/unit/%)
# All processors, unless the caller said otherwise.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) --no-print-directory

build-tests: $(BUILD)/dnsd $(BUILD)/optlist $(TOOLS:%=$(BUILD)/%) $(PROGRAMS) $(BUILD)/system/soak

# BUILD tells system tests and scripts where to look. Sanitizers and valgrind are slower than
# Check's own limit for a test (4 s) allows for.
run-tests:
	@BUILD='$(abspath $(BUILD))' CK_DEFAULT_TIMEOUT="$${CK_DEFAULT_TIMEOUT:-30}" \
	    tests/run $(abspath $(PROGRAMS)) $(SCRIPTS)

check:
	@packaging/deps.sh check
	@$(MAKE) $(JOBS) build-tests
	@$(MAKE) --no-print-directory run-tests

# The same tests with every access, leak and overflow watched. The scripts look at plain objects.
check-san:
	@packaging/deps.sh check
	@$(MAKE) $(JOBS) BUILD=$(BUILD)/san SAN='$(SANITIZERS)' build-tests
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/san SCRIPTS= run-tests
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all

# Every call of the C library that dnsd makes fails in turn, not just a sample of them.
check-faults: build-tests
	FAULTS=all BUILD='$(abspath $(BUILD))' $(BUILD)/system/faults

# Unit and replay programs under valgrind; system tests put $$DNSD_WRAP before dnsd.
check-valgrind:
	@packaging/deps.sh check valgrind
	@$(MAKE) $(JOBS) build-tests
	@TEST_WRAP='$(VALGRIND)' DNSD_WRAP='$(VALGRIND)' CK_TIMEOUT_MULTIPLIER=20 TEST_SECONDS=1200 \
	    $(MAKE) --no-print-directory SCRIPTS= run-tests
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite

include tests/fuzz/fuzz.mk
include tests/coverage/coverage.mk

# Everything at once for a while: SOAK=24h make soak
soak:
	@packaging/deps.sh check
	@$(MAKE) $(JOBS) $(BUILD)/dnsd $(BUILD)/system/soak
	@BUILD='$(abspath $(BUILD))' $(BUILD)/system/soak

# Two compilers without a warning, and what reads code, manual and scripts for a living.
C_FILES = $(wildcard *.c net/*.c ops/*.c tools/*.c bench/*.c tests/*/*.c)
H_FILES = $(wildcard *.h net/*.h ops/*.h tools/*.h bench/*.h tests/*.h tests/*/*.h)
# cppcheck sees the loops of uthash and utlist, to know that they set their variables, and nothing
# else of the system: lost in the system's headers, it finds no fault with anything.
$(BUILD)/cppcheck/%.h: /usr/include/%.h
	@mkdir -p $(@D)
	@ln -sf $< $@
CPPCHECK = cppcheck -q -j $(shell nproc) --std=c11 --error-exitcode=1 --inline-suppr \
           --enable=warning,performance,portability -D'DECLTYPE(x)=' -I. -I$(BUILD)/cppcheck \
           --suppress='*:$(BUILD)/cppcheck/*'
lint: $(BUILD)/cppcheck/uthash.h $(BUILD)/cppcheck/utlist.h
	@packaging/deps.sh lint
	@$(MAKE) $(JOBS) BUILD=$(BUILD)/lint-gcc CC=gcc WERROR=-Werror build-tests build-bench
	@$(MAKE) $(JOBS) BUILD=$(BUILD)/lint-clang CC=clang WERROR=-Werror build-tests build-bench
	$(CPPCHECK) $(C_FILES)
	clang-format --dry-run -Werror $(C_FILES) $(H_FILES)
	mandoc -T lint -W warning man/*.[1-8]
	shellcheck -S warning .ci/run packaging/*.sh bench/run bench/growth bench/predict bench/check-cost bench/*.sh \
	    tests/run tests/layers tests/manual tests/unitfile \
	    tests/rules tests/sequence tests/rehearse tests/fuzz/run tools/demo

format:
	clang-format -i $(C_FILES) $(H_FILES)

# What is made from the table of options: the manual's list of options, the completion for bash.
$(BUILD)/optlist: $(BUILD)/tools/optlist.o $(CONF:%=$(BUILD)/%.o) $(BUILD)/addr.o $(BUILD)/quantity.o \
                  $(BUILD)/rebind.o $(WIRE:%=$(BUILD)/%.o)
	@$(say)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/dnsd.bash: $(BUILD)/optlist
	$(BUILD)/optlist bash > $@

man: $(BUILD)/optlist
	$(BUILD)/optlist mdoc > $(BUILD)/options.mdoc
	sed -i -e '/^\.\\" BEGIN options/r $(BUILD)/options.mdoc' \
	    -e '/^\.\\" BEGIN options/,/^\.\\" END options/{/BEGIN options\|END options/!d;}' man/dnsd.8

# ---- measuring -----------------------------------------------------------------------------------

include bench/bench.mk

# ---- running and installing ----------------------------------------------------------------------

deps:
	@packaging/deps.sh run

# 5353 is also mDNS's port: where avahi has it, dnsd says so and ends.
PORT = 5353
run:
	@packaging/deps.sh run
	@$(MAKE) $(JOBS) all
	@packaging/try.sh $(BUILD)/dnsd $(PORT)

# What prediction gains, shown on loopback.
demo:
	@packaging/deps.sh run
	@$(MAKE) $(JOBS) all $(BUILD)/slowserver
	@BUILD=$(BUILD) tools/demo

BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= /etc
MAN8 = dnsd.8
MAN5 = $(notdir $(wildcard man/*.5))
MAN1 = $(notdir $(wildcard man/*.1))

# Configuration that is there already stays as it is.
install: all $(BUILD)/dnsd.bash $(BUILD)/dnsd.service $(BUILD)/dnsd.conf
	install -D -m 755 $(BUILD)/dnsd $(DESTDIR)$(SBINDIR)/dnsd
	install -D -m 755 $(BUILD)/dnssequence $(DESTDIR)$(BINDIR)/dnssequence
	install -D -m 755 $(BUILD)/dnsrehearse $(DESTDIR)$(BINDIR)/dnsrehearse
	for p in $(MAN8); do install -D -m 644 man/$$p $(DESTDIR)$(MANDIR)/man8/$$p || exit 1; done
	for p in $(MAN5); do install -D -m 644 man/$$p $(DESTDIR)$(MANDIR)/man5/$$p || exit 1; done
	for p in $(MAN1); do install -D -m 644 man/$$p $(DESTDIR)$(MANDIR)/man1/$$p || exit 1; done
	install -D -m 644 $(BUILD)/dnsd.bash $(DESTDIR)$(COMPDIR)/dnsd
	install -D -m 644 $(BUILD)/dnsd.service $(DESTDIR)$(UNITDIR)/dnsd.service
	install -D -m 644 packaging/dnsd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/dnsd.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/dnsd/dnsd.conf || \
	    install -D -m 644 $(BUILD)/dnsd.conf $(DESTDIR)$(SYSCONFDIR)/dnsd/dnsd.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/dnsd/poison.conf || \
	    install -D -m 644 poison.conf $(DESTDIR)$(SYSCONFDIR)/dnsd/poison.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/logrotate.d/dnsd || \
	    install -D -m 644 packaging/logrotate $(DESTDIR)$(SYSCONFDIR)/logrotate.d/dnsd

# Configuration stays: it may hold work.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/dnsd $(DESTDIR)$(BINDIR)/dnssequence $(DESTDIR)$(BINDIR)/dnsrehearse \
	    $(DESTDIR)$(COMPDIR)/dnsd $(DESTDIR)$(UNITDIR)/dnsd.service \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/dnsd.conf \
	    $(MAN8:%=$(DESTDIR)$(MANDIR)/man8/%) $(MAN5:%=$(DESTDIR)$(MANDIR)/man5/%) \
	    $(MAN1:%=$(DESTDIR)$(MANDIR)/man1/%)

# The unit with the paths of this installation. Made anew each time: the paths may differ.
$(BUILD)/dnsd.service: packaging/dnsd.service FORCE
	@mkdir -p $(@D)
	sed -e 's|@SBINDIR@|$(SBINDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' $< > $@

# The example, with the place of the overrides that are installed beside it. They are examples too,
# and so stay off until somebody says so.
$(BUILD)/dnsd.conf: dnsd.conf FORCE
	@mkdir -p $(@D)
	sed 's|^\(#poison  *\).*|\1$(SYSCONFDIR)/dnsd/poison.conf|' $< > $@

# $(BUILD)/dnsd_VERSION_ARCHITECTURE.deb
deb:
	@packaging/deps.sh deb
	@packaging/deb.sh $(BUILD) $(VERSION)

help:
	@echo 'make                 build $(BUILD)/dnsd, dnssequence and dnsrehearse'
	@echo 'make run             install what is missing, build, and try it on 127.0.0.1:$(PORT)'
	@echo 'make demo            see on loopback what prediction gains'
	@echo 'make check           install what tests need, build and run all tests'
	@echo 'make check-san       the same with address and undefined behaviour sanitizers'
	@echo 'make check-valgrind  the same under valgrind'
	@echo 'make check-faults    make each system call and allocation fail in turn'
	@echo 'make soak            all at once for ten minutes: floods, lies, reloads; SOAK=24h is longer'
	@echo 'make coverage        lines and branches that the tests reach, and whether that is enough'
	@echo 'make unit/NAME       one test program; also replay/NAME, system/NAME'
	@echo 'make fuzz            fuzz each target for FUZZ_SECONDS (now $(FUZZ_SECONDS))'
	@echo 'make check-cost      instructions a question, against the recorded figures'
	@echo 'make bench           against its peers; also bench-quick, bench-growth, bench-eviction'
	@echo 'make bench-predict   what prediction gains on page loads, beside its peers'
	@echo 'make bench-rule      what the rule saves on recorded page loads, as in dnsrehearse(1)'
	@echo 'make lint            two compilers, cppcheck, clang-format, mandoc, shellcheck'
	@echo 'make format          clang-format on all C files'
	@echo 'make man             the list of options in man/dnsd.8, from the table'
	@echo 'make install         to $$DESTDIR$$PREFIX (now $(DESTDIR)$(PREFIX)); uninstall'
	@echo 'make deb             a package for Debian in $(BUILD)'
	@echo 'make deps            install what building needs'
	@echo 'make clean           remove $(BUILD)'
	@echo 'Variables: CC, CFLAGS, BUILD, PREFIX, SYSCONFDIR, DESTDIR, WERROR=-Werror, PORT'

# The value of a list, for scripts: make -s print-PURE
print-%:
	@echo $($*)

clean:
	rm -rf $(BUILD)

.PHONY: all man clean build-tests run-tests check check-san check-valgrind check-faults lint format deps run \
        demo install uninstall deb help FORCE
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
