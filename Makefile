# Everything you type often. `make` and `make help` list it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help demo demo-down test lint queries bench fuzz api-check pictures

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: ## three agents behind a proxy on this machine; Ctrl-C stops AgentPod, the agents keep running
	@exec deploy/demo.sh up

demo-down: ## remove everything that `make demo` created, except images
	@exec deploy/demo.sh down

test: ## install what is missing, build the images once, run every test
	@exec deploy/test.sh

lint: ## formatting, clippy, SQL statements, shell scripts, licenses (the last two if their tools are installed)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@deploy/queries.sh --check
	@if command -v shellcheck >/dev/null; then set -x; shellcheck -x $$(git ls-files '*.sh' .ci/run); else echo "shellcheck is not installed: shell scripts were not checked"; fi
	@if command -v cargo-deny >/dev/null; then set -x; cargo deny check; else echo "cargo-deny is not installed: licenses and advisories were not checked"; fi

queries: ## write .sqlx after changing an SQL statement or a migration
	@exec deploy/queries.sh

fuzz: ## fuzz manifests, adapters and the webhook, FUZZ_SECONDS (60) each
	@exec deploy/fuzz.sh

bench: ## planning by number of pods, the dashboard with 1,000 pods, the time from a save to the new container
	cargo bench --bench plan
	cargo bench --bench dashboard
	deploy/with-docker.sh cargo bench --bench save

api-check: ## test the API against its own description, with schemathesis
	@exec deploy/api-check.sh

pictures: ## take pictures of the dashboard's pages, light and dark, into docs/pictures
	@exec deploy/pictures.sh
