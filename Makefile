# The commands of the house (docs/design.md, section 10). Each sets up what it needs; nothing has to be run before it.

python := .venv/bin/python
ran := .venv/run.stamp
all := .venv/all.stamp
pinned := requirements/install.sh pyproject.toml requirements/build.txt requirements/run.txt requirements/run.in
peers := tests/peers/node_modules/.stamp

# A .venv that was moved here, or whose Python is gone, does not count as set up.
$(shell [ "$$(cat .venv/made-in 2>/dev/null)" = "$(CURDIR)" ] && $(python) -c '' 2>/dev/null || rm -f .venv/*.stamp)

.PHONY: help install sandbox test check format bench requirements

help:
	@echo "make sandbox       set up and start the sandbox: everything works, nothing is real"
	@echo "make install       set up .venv with everything"
	@echo "make test          run every test (ARGS='-k words' for some; '-n0' in one process)"
	@echo "make check         lint, types, import rules, translations"
	@echo "make format        format the code"
	@echo "make bench         run the benchmarks"
	@echo "make requirements  pin the newest releases that requirements/*.in allow"

install: $(all)

$(ran): $(pinned)
	requirements/install.sh build run
	@touch $@

$(all): $(ran) requirements/test.txt requirements/dev.txt
	requirements/install.sh build run test dev
	@touch $(ran) $@

sandbox: $(ran)
	.venv/bin/idbroker sandbox $(ARGS)

# A process for each core; the tests of one file stay together, in their order, in one of them.
parallel := --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

test: $(all) $(peers)
	tests/system-packages.sh
	$(python) -m pytest $(parallel) $(ARGS)

# Third-party peers of the tests: exact versions, known by their hashes, and none of their install scripts is run.
$(peers): tests/peers/package.json tests/peers/package-lock.json
	tests/system-packages.sh
	cd tests/peers && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

check: $(all)
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy
	.venv/bin/lint-imports --no-logo
	$(python) -m idbroker.words

format: $(all)
	$(python) -m ruff format
	$(python) -m ruff check --fix

bench: $(all)
	$(python) -m bench $(ARGS)

pin := .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --strip-extras \
	--no-header --no-annotate

# Each set is pinned to what the sets below it have; no address of an index is written.
requirements: $(all)
	cd requirements && ../$(pin) build.in -o build.txt
	cd requirements && ../$(pin) run.in -o run.txt
	cd requirements && ../$(pin) test.in -c run.txt -o test.txt
	cd requirements && ../$(pin) dev.in -c run.txt -c test.txt -o dev.txt
