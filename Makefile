# This needs Python >= 3.10, Git, Go >= 1.26 and make. The targets build or install the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A file of end-to-end tests waits more than it computes, so there are more workers than cores.
TEST_WORKERS ?= 3
# The quick tests make and remove many small folders. In memory that takes a tenth of the time.
UNIT_TMPDIR := $(firstword $(wildcard /dev/shm) $(TMPDIR) /tmp)
# The sizes of fleets to measure, and options such as --flate; all sizes without any.
SIZES ?=
SOURCES := __main__.py fleet components sandbox tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help sandbox shell sandbox-down check-tools tools test test-long test-unit lint format \
	bench golden schema schema-pins lock

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

sandbox: $(VENV)/installed ## start three clusters on this machine and run `pulumi up` for each
	@$(BIN)/python -m sandbox up

shell: $(VENV)/installed ## open a shell in the sandbox, with pulumi, fleet, kubectl and git
	@$(BIN)/python -m sandbox shell

sandbox-down: $(VENV)/installed ## stop the sandbox and remove its state
	@$(BIN)/python -m sandbox down

check-tools: $(VENV)/installed ## build what `fleet check` and the unit tests need, once
	@$(BIN)/python -m sandbox tools --check

tools: $(VENV)/installed ## build everything that the sandbox and `fleet` need, once
	@$(BIN)/python -m sandbox tools

test: $(VENV)/installed ## run all tests, on sandboxes of their own
	@$(BIN)/python -m sandbox tools --tests
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/installed ## run the tests that take too long for `make test`
	@$(BIN)/python -m sandbox tools --tests
	$(BIN)/python -m pytest -m long -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test-unit: check-tools ## run the quick tests, which run no programs or servers
	TMPDIR=$(UNIT_TMPDIR) $(BIN)/python -m pytest tests --ignore=tests/e2e -n auto \
		-m "not slow and not long" -o tmp_path_retention_policy=failed

lint: $(VENV)/installed ## check formatting, lint, types and the GitHub Actions workflows
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 -shellcheck= -pyflakes= .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows

format: $(VENV)/installed ## format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: check-tools ## measure fleet against other tools; SIZES="shipped 3" for a short run
	$(BIN)/python -m benchmarks $(SIZES)

golden: $(VENV)/installed ## render the golden trees again; review their diff
	rm -rf tests/fixtures/golden/clusters
	$(BIN)/fleet render --out tests/fixtures/golden
	rm -rf tests/fixtures/tenancy/clusters
	$(BIN)/fleet render --root tests/fixtures/tenancy --out tests/fixtures/tenancy
	rm -rf tests/fixtures/rendered/clusters
	$(BIN)/fleet render --root tests/fixtures/rendered --out tests/fixtures/rendered
	find tests/fixtures -name gotk-components.yaml -delete # upstream's manifests are not committed

schema: $(VENV)/installed ## generate stack.schema.json again
	$(BIN)/fleet schema > stack.schema.json

schema-pins: $(VENV)/installed ## pin the sources of the JSON schemas of `fleet check` again
	$(BIN)/python -m sandbox.build.schema_pins

lock: $(VENV)/installed ## pin and hash the dependencies of pyproject.toml again
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-header --no-emit-index-url pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-header --no-emit-index-url --extra dev pyproject.toml --output-file requirements-dev.txt

$(VENV)/installed: requirements-dev.txt pyproject.toml
	@echo "installing the pinned Python packages into $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
# pip compiles every package but an editable one, which each run compiles where Python may not keep it.
	@$(BIN)/python -m compileall -q fleet
	@touch $@
