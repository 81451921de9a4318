# What a developer runs. .ci/run is what has to pass.

BIN = .venv/bin

.PHONY: test test-fast lint docs

test:
	$(BIN)/pytest

test-fast:
	$(BIN)/pytest -m "not slow"

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs:
	$(BIN)/pdoc --docformat numpy --output-directory build/api deepmersion.pipeline \
		deepmersion.indexing deepmersion.sound.bank deepmersion.errors
