# make demo: set up and do the main job. make test: set up and run the tests.
PYTHON ?= python3
BIN := .venv/bin
# The TensorFlow of these commands talks of errors only.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-full bench gallery clean

demo: .venv/installed
	$(BIN)/tfae-train --config=configs/quickstart.py --workdir=runs/quickstart
	$(BIN)/python export/export_saved_model.py --workdir=runs/quickstart --export_dir=runs/served --keep=3
	$(BIN)/python export/check_saved_model.py --saved_model=runs/served/$$(ls runs/served | sort -n | tail -1)
	$(BIN)/tfae-evaluate --workdir=runs/quickstart --pca
	$(BIN)/tfae-report --workdir=runs/quickstart --saved_model=runs/served/$$(ls runs/served | sort -n | tail -1)
	@echo "run:    runs/quickstart (config.json, metrics.jsonl, checkpoints/, tensorboard/)"
	@echo "model:  runs/served/$$(ls runs/served | sort -n | tail -1) (saved_model.pb, signature.json)"
	@echo "report: runs/quickstart/report.html (opens in any browser)"
	@echo "curves: $(BIN)/tensorboard --logdir=runs/quickstart"

test: .venv/installed-test
	$(BIN)/python -m pytest

test-full: .venv/installed-full
	$(BIN)/python -m pytest -m full

# Trains on MNIST what is missing in runs/gallery, then draws docs/gallery.
gallery: .venv/installed
	$(BIN)/python docs/gallery/make_gallery.py

# More than half an hour, on a machine that does nothing else.
bench: .venv/installed-bench
	$(BIN)/python benchmarks/train_throughput.py
	$(BIN)/python benchmarks/serve_latency.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/memory.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "tfae needs Python 3.10 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: .venv/installed setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

.venv/installed-full: .venv/installed-test setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,onnx,litert,openvino,serving,beam]'
	touch $@

.venv/installed-bench: .venv/installed setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,openvino,litert]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
