# Everything a person or CI runs. `make help` lists it.

DEMO_SECONDS ?= 20
CORPUS ?= sql-tests/corpus
QUERIES ?= 100000
# Bash has a variable SECONDS of its own, which make does not take over.
SECONDS_OF_CHAOS = $(if $(filter command line,$(origin SECONDS)),$(SECONDS),600)
VERSIONS ?=
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: help demo demo-stop build run fmt lint doc test unit sqltest corpus fuzz tpch crash chaos chaos-short bench test-postgres-versions check clean fuzz-bytes postgres test-clients

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

demo: ## the main job on a real PostgreSQL, watched for DEMO_SECONDS seconds
	@DEMO_SECONDS=$(DEMO_SECONDS) tools/demo start

demo-stop: ## stop what the demo left running
	@tools/demo stop

build: ## the server, optimised
	cargo build --release -p tidemilld

run: build ## the server, with its data under target/data
	target/release/tidemilld --data-dir target/data

fmt: ## format the code
	cargo fmt

lint: ## formatting and clippy, as CI wants them
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

doc: ## the documentation of all crates, without warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

check: lint ## what can be checked without running anything

postgres:
	@tools/private-postgres install

unit: postgres ## unit and integration tests of the crates
	cargo build --workspace --bins
	tools/run-unit-tests

sqltest: postgres ## sql-tests/ and the guides against a server and a real upstream
	cargo build --workspace --bins
	target/debug/tidemill-sqltest --server target/debug/tidemilld --retries 1 sql-tests docs/guide

corpus: postgres ## SQLite's sqllogictest files in CORPUS, each three ways: as asked, as views, maintained
	cargo build --release --bins
	target/release/tidemill-sqltest --server target/release/tidemilld --timeout 600 --times --ways tables,views,materialized $(CORPUS)

fuzz: postgres ## QUERIES random queries, compared with PostgreSQL, some of them maintained (SEED=n to repeat)
	cargo build --release --bins
	target/release/tidemill-sqltest --server target/release/tidemilld --fuzz $(QUERIES) $(if $(SEED),--seed $(SEED))

SECONDS ?= 60
fuzz-bytes: ## random protocol messages and SQL texts, SECONDS each (cargo install cargo-fuzz; nightly Rust)
	cargo +nightly fuzz run messages -- -max_total_time=$(SECONDS)
	cargo +nightly fuzz run statements -- -max_total_time=$(SECONDS)

tpch: postgres ## TPC-H's queries as maintained views, compared with PostgreSQL after refreshes
	cargo build --release --bins
	target/release/tidemill-bench tpch --server target/release/tidemilld

crash: postgres ## kill -9 of server and upstream, again and again, under load
	cargo build --release --bins
	target/release/tidemill-bench crash --server target/release/tidemilld --rounds 50

chaos: postgres ## random changes upstream, bad lines, kills, for SECONDS; then everything must be equal (SEED=n to repeat)
	cargo build --release --bins
	target/release/tidemill-bench chaos --server target/release/tidemilld --seconds $(SECONDS_OF_CHAOS) $(if $(SEED),--seed $(SEED)) $(if $(VERBOSE),--verbose)

chaos-short: postgres ## a minute of chaos with the unoptimised server
	cargo build --workspace --bins
	target/debug/tidemill-bench chaos --server target/debug/tidemilld --seconds 60

test-postgres-versions: postgres ## sql-tests/sources/ with PostgreSQL 11 to 18 as upstream (VERSIONS="11 18" for some)
	cargo build --workspace --bins
	VERSIONS="$(VERSIONS)" tools/test-postgres-versions

test: unit sqltest ## all tests

test-clients: postgres ## drivers and tools from their registries, against a private server (CLIENTS="psycopg3 dbt" for some)
	cargo build -p tidemilld
	tools/test-clients $(CLIENTS)

bench: postgres ## benchmarks, each with its reference in the same run
	cargo build --release --bins
	target/release/tidemill-bench all --server target/release/tidemilld

clean: ## remove what was built, and all data of demo and tests
	tools/demo stop || true
	cargo clean
