# Everything a person types often. `make` and `make help` list it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help demo demo-down test lint bench fuzz api-check pictures

help: ## list these
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: ## three agents behind a proxy on this machine; Ctrl-C stops AgentPod, the agents go on
	@exec deploy/demo.sh up

demo-down: ## remove everything that `make demo` made, except images
	@exec deploy/demo.sh down

test: ## install what is missing, build the images once, run every test
	@exec deploy/test.sh

lint: ## formatting, clippy, shell scripts, licences (the last two where their tools are installed)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v shellcheck >/dev/null; then set -x; shellcheck -x $$(git ls-files '*.sh' .ci/run); else echo "shellcheck is not installed: shell scripts not checked"; fi
	@if command -v cargo-deny >/dev/null; then set -x; cargo deny check; else echo "cargo-deny is not installed: licences and advisories not checked"; fi

fuzz: ## manifests and webhook, FUZZ_SECONDS (60) each
	@exec deploy/fuzz.sh

bench: ## how planning grows with the number of pods; what the dashboard costs with 1,000; how long a save takes
	cargo bench --bench plan
	cargo bench --bench dashboard
	deploy/with-docker.sh cargo bench --bench save

api-check: ## try the API out against its own description, with schemathesis
	@exec deploy/api-check.sh

pictures: ## the dashboard's pages as pictures, light and dark, into docs/pictures
	@exec deploy/pictures.sh
