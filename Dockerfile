# The builder as a container: `docker run --rm -v "$PWD:/work" edge-build image --user-data …`.
# It needs no --privileged and no capability beyond Docker's defaults.
ARG BASE=debian:trixie-slim
FROM ${BASE}

RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
      ca-certificates debian-archive-keyring grub-common grub-efi-amd64-bin grub-pc-bin lz4 \
      mmdebstrap mtools python3-venv squashfs-tools squashfs-tools-ng util-linux xorriso zstd \
 && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md /opt/edge-build/
COPY builder /opt/edge-build/builder
COPY overlay_runtime /opt/edge-build/overlay_runtime
COPY image-templates /opt/edge-build/image-templates
RUN python3 -m venv /opt/edge-build/venv \
 && /opt/edge-build/venv/bin/pip install --quiet --no-cache-dir --editable /opt/edge-build

# Bases are kept here: give it a volume to keep them between runs.
ENV EDGE_BUILD_CACHE_DIR=/cache
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["/opt/edge-build/venv/bin/edge-build"]
CMD ["--help"]
