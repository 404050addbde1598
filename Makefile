# Everything here is a script in Scripts/; this file only names them.

PORT ?= 8080

.PHONY: help demo build test lint format clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16

demo: ## build, start the server on PORT (8080), ask it about a picture; ONCE=1 stops it afterwards
	@PORT="$(PORT)" ONCE="$(ONCE)" RANDOM_WEIGHTS="$(RANDOM_WEIGHTS)" Scripts/demo.sh

build: ## build the release binary
	@Scripts/build-release.sh

test: ## build and run every test
	@Scripts/test.sh

lint: ## check the form of the sources
	@Scripts/lint.sh

format: ## bring the Swift sources into form
	@swift format --in-place --parallel --recursive Package.swift Sources Tests

clean: ## remove what was built (the demo model in models/ stays)
	@rm -rf .build .venv-clients .venv-demo
