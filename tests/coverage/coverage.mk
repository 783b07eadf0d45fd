# make coverage: which lines and branches the tests reach, and whether that is enough.
# Knows gcov's and gcovr's options; never what is tested.

# Of the product; the second group holds what every question passes, and is covered whole.
COVERAGE_LINES    = 95
COVERAGE_BRANCHES = 90
COVERAGE_FILES = --filter '[a-z_]+\.c$$' --filter 'net/' --filter 'ops/' --filter 'tools/' \
                 --exclude 'tests/' --exclude 'bench/' --exclude 'tools/slowserver' --exclude 'tools/optlist' --exclude '.*\.h$$'
COVERAGE_WHOLE = --filter 'wire[a-z_]*\.c$$' --filter 'cache\.c$$' --filter 'predict(_[a-z]+)?\.c$$' \
                 --filter 'poison[a-z_]*\.c$$'

COV      = $(BUILD)/cov
# CFLAGS of its own would drop the Makefile's: these go where a sanitizer's go.
COV_SAN  = --coverage -O0 -fprofile-update=atomic -fprofile-abs-path
COV_SHIM = $(COV)/tests/coverage/shim.o
COV_WRAP = -Wl,--wrap=seccomp_init,--wrap=_exit
COV_MAKE = $(MAKE) BUILD=$(COV) SAN='$(COV_SAN)' SCRIPTS='tests/sequence tests/rehearse' \
           CK_DEFAULT_TIMEOUT=240 TEST_SECONDS=300

$(COV_SHIM): tests/coverage/shim.c
	@mkdir -p $(@D)
	@$(say)
	$(Q)$(CC) -std=c11 -Wall -Wextra $(WERROR) -DCOVERAGE_DIR='"$(abspath $(COV))"' -O1 -c -o $@ $<

# dnsd counts as another user and in a sandbox, where it may not make files: they are there before
# it starts, for all to write. Left out: branches that only the compiler made, those of assert(),
# which no input may reach, and two programs that are not installed: tools/slowserver, which tests
# and the demonstration ask, and tools/optlist, which writes the manual's list of options.
coverage:
	@packaging/deps.sh check coverage
	@$(MAKE) --no-print-directory $(COV_SHIM)
	@LDFLAGS='$(COV_WRAP) $(abspath $(COV_SHIM))' $(COV_MAKE) $(JOBS) build-tests
	@find $(COV) -name '*.gcno' | while read -r f; do \
	    : >"$${f%.gcno}.gcda" && chmod 666 "$${f%.gcno}.gcda" || exit 1; done
	@: >$(COV)/probe && chmod 666 $(COV)/probe
	@$(COV_MAKE) --no-print-directory run-tests
	@$(MAKE) --no-print-directory coverage-report

coverage-report:
	@gcovr -r . --object-directory $(COV) $(COVERAGE_FILES) -j $(shell nproc) $(COV) \
	    --exclude-unreachable-branches --exclude-throw-branches --exclude-branches-by-pattern '.*\bassert\(' \
	    --json $(COV)/coverage.json
	@gcovr -r . -a $(COV)/coverage.json --html-details $(COV)/coverage.html
	@gcovr -r . -a $(COV)/coverage.json --branches
	@gcovr -r . -a $(COV)/coverage.json --print-summary \
	    --fail-under-line $(COVERAGE_LINES) --fail-under-branch $(COVERAGE_BRANCHES) -o $(COV)/lines.txt; \
	    all=$$?; gcovr -r . -a $(COV)/coverage.json $(COVERAGE_WHOLE) --fail-under-line 100 && exit $$all

.PHONY: coverage coverage-report
