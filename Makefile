# Every way to build, try, test and measure hrmbuild. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
HRMBUILD := $(abspath $(BIN))/hrmbuild
DEMO ?= build/demo
FULL ?= build/demo-full
FULL_STEPS ?= 8000
DATA ?= ../shared/data
PAIRS ?= 10000000
CODE := hrmbuild tests .ci

.DEFAULT_GOAL := help
.PHONY: help install demo demo-full real real-table nasty-table fuzz test slow check format schemas golden bench bench-train bench-generate bench-serve bench-data bench-ingest bench-arch bench-corpus bench-package bench-verify chaos bundle wheel gpu-smoke clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

install: $(BIN)/.installed ## a virtual environment in .venv with the pinned versions

demo: install ## the whole road on the example company, on a CPU, in minutes
	@test -f $(DEMO)/hrmbuild.yaml || $(HRMBUILD) init $(DEMO) --demo
	cd $(DEMO) && $(HRMBUILD) build
	cd $(DEMO) && $(HRMBUILD) eval --split test --show 3 --show-label internal

demo-full: install ## the same with the steps that the weak axes need (at most 80 CPU-minutes)
	@test -f $(FULL)/hrmbuild.yaml || $(HRMBUILD) init $(FULL) --demo
	cd $(FULL) && $(HRMBUILD) build --steps $(FULL_STEPS)
	cd $(FULL) && $(HRMBUILD) eval --split test --show 3 --show-label internal

real: install ## the same road on real documents: DATA=FOLDER (the layout of examples/real-data.yaml)
	$(HRMBUILD) build --config examples/real-data.yaml --sources $(DATA) --work build/real-data

test: install ## the fast tests
	$(BIN)/python -m pytest -n 2

slow: install ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

check: $(BIN)/.installed-dev ## format, lint, types, schemas and golden files fresh, fast tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m hrmbuild.records.schemas --check
	$(BIN)/python -m pytest -n 2

format: $(BIN)/.installed-dev ## put the code into its one format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

schemas: install ## write schemas/*.json again from the records
	$(BIN)/python -m hrmbuild.records.schemas

golden: install ## render every wording again into tests/golden/templates; read the difference before you commit it
	$(BIN)/python tests/golden/render_templates.py

real-table: install ## every folder of real data in one run, as the table of docs/measured.md; quotes looked up again (DATA=FOLDER)
	$(BIN)/python tests/benchmarks/real_data_table.py --data $(DATA)

nasty-table: install ## the same of broken and hostile files
	$(BIN)/python tests/benchmarks/real_data_table.py --data $(DATA) --config tests/benchmarks/nasty_data.yaml

fuzz: install ## damaged files by the hundred: what ingest, freeze and verify promise holds for them (DATA=FOLDER)
	$(BIN)/python tests/benchmarks/fuzz_ingest.py --data $(DATA) --work build/fuzz

bench: bench-train bench-generate bench-serve bench-data bench-ingest bench-arch ## every benchmark, side by side, each ending in one JSON line

bench-train: install ## our training step against transformers' class, same weights and batches
	$(BIN)/python tests/benchmarks/bench_train.py

bench-generate: install ## what `ask` generates a second, against transformers.generate on the same package
	$(BIN)/python tests/benchmarks/bench_generate.py

bench-serve: install ## what recurrence costs when it is served: a package beside a plain Transformer, transformers serve, rising load
	$(BIN)/python tests/benchmarks/bench_serve.py

bench-data: install ## encoding beside the tokenizers library alone, and memory of 10 million pairs (PAIRS=N for fewer)
	$(BIN)/python tests/benchmarks/bench_data.py --pairs $(PAIRS)

$(BIN)/.installed-bench: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

bench-ingest: $(BIN)/.installed-bench ## a million pairs of JSON lines and of Parquet, beside datasets.map(num_proc=2); each gate's rate
	$(BIN)/python tests/benchmarks/bench_ingest.py

bench-arch: install ## HRM, Transformer and TRM at matched FLOPs on the example rules (half an hour, resumable)
	$(BIN)/python tests/benchmarks/bench_arch.py

bench-corpus: install ## what variants, wordings, absent twins and cross-kind pairs are worth: one removed at a time (resumable)
	$(BIN)/python tests/benchmarks/bench_corpus.py

bench-scenarios: install ## 10,000 scenarios of the example rules: seconds, decision cells, share of boundary cases
	$(BIN)/python tests/benchmarks/bench_scenarios.py

bench-package: install ## a package of 2.4 GB (XL, drawn weights): made, signed, verified, within 6 GB (10 GB of disk, minutes)
	$(BIN)/python tests/benchmarks/bench_package.py

bench-verify: install ## verify a million pairs on two cores, prove one of them, name two alterations (2 GB of disk, minutes)
	$(BIN)/python tests/benchmarks/bench_verify.py

chaos: install ## kills at random moments, full disks (minutes)
	$(BIN)/python -m pytest -m chaos

bundle: $(BIN)/.installed-dev ## a wheelhouse with hashes and a CycloneDX list, for machines without a network
	$(BIN)/python .ci/bundle.py build/bundle

wheel: $(BIN)/.installed-dev ## the wheel alone, into build/wheel
	$(BIN)/python -m build --wheel --outdir build/wheel .

gpu-smoke: install ## on one GPU, at most ten minutes: kernels, preset B, a kill, a resume, tokens/s; exits 1 without a GPU
	$(BIN)/python tests/benchmarks/gpu_smoke.py

clean: ## remove what these targets made (not .venv)
	rm -rf build
