# The root file system of the plugin: Python, the driver and the libraries they need; no shell, no compiler, no package
# manager. `make plugin` exports it. Builds with BuildKit and with the engine's classic builder; needs a network that
# reaches Debian's packages and Python's, hence `docker build --network host` where builds have none of their own.

FROM debian:trixie-slim AS builder
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
        ca-certificates gcc libc6-dev python3-dev python3-pip >/dev/null \
 && rm -rf /var/lib/apt/lists/*

# Given by `make plugin` where the host sets them; empty elsewhere. Not in the last stage.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN pip install --quiet --require-hashes --only-binary :all: --target /opt/build -r requirements-build.lock \
 && pip install --quiet --require-hashes --only-binary :all: --no-compile --ignore-installed --no-warn-script-location \
        --root /rootfs -r requirements.lock
COPY plugin/assemble.py /opt/
RUN python3 /opt/assemble.py /rootfs

COPY . .
ARG OTELLOGDRIVER_NATIVE=require
RUN LDFLAGS=-Wl,--strip-all PYTHONPATH=/opt/build OTELLOGDRIVER_NATIVE=${OTELLOGDRIVER_NATIVE} \
        pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /opt/wheel . \
 && pip install --quiet --no-deps --no-compile --no-index --no-warn-script-location --root /rootfs \
        /opt/wheel/otellogdriver-*.whl \
 && python3 -m compileall -q --invalidation-mode unchecked-hash \
        -s /rootfs /rootfs/usr/local/lib/python3*/dist-packages/otellogdriver \
 && chroot /rootfs /usr/bin/python3 -c "import grpc.aio, isal.isal_zlib, re2, \
        otellogdriver.cli, otellogdriver.driver.driver, otellogdriver.engine.protocol, otellogdriver.commands.sink, otellogdriver.telemetry.status"

FROM scratch
COPY --from=builder /rootfs /
# Few malloc arenas: there is a thread for each container, and each arena keeps memory of its own. Where that is free, 8
# MiB are kept, and what requests are made of (up to 2 MiB) is taken from there: memory that the system takes back and
# gives again between two requests costs a tenth of the driver's CPU at full speed.
ENV PATH=/usr/local/bin:/usr/bin \
    LANG=C.UTF-8 \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=4194304 \
    MALLOC_TRIM_THRESHOLD_=8388608 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/local/bin/otellogdriver"]
CMD ["serve"]
