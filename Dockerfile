# Dunlin on the CPU: docker build -t dunlin .
#
# The image holds the program, the libraries it is linked with, and the default model: no shell, no package manager.
# It runs as user 65532 and writes to /data alone, so that its root may be read-only:
#
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:3000:3000 \
#       -e DUNLIN_SERVER__ALLOW_UNAUTHENTICATED_NETWORK=true dunlin
#
# docs/DEPLOYMENT.md explains volumes and settings, docker-compose.yml starts it with everything around it.

# Pin it harder where you can: --build-arg DEBIAN_IMAGE=debian@sha256:...
ARG DEBIAN_IMAGE=docker.io/library/debian:12.11-slim

FROM ${DEBIAN_IMAGE} AS builder
WORKDIR /dunlin

# What changes rarely comes first: packages, then the model. DEFAULT_MODEL=no leaves the model out.
COPY scripts/setup scripts/setup-node scripts/node.txt scripts/
RUN scripts/setup --serve
ARG DEFAULT_MODEL=yes
COPY scripts/fetch-model scripts/
RUN mkdir -p /shared/dunlin/models && { [ "$DEFAULT_MODEL" = no ] || XDG_CACHE_HOME=/shared scripts/fetch-model; }

# The kernels for AVX2 and AVX-512 are chosen at run time; everything else runs on any x86-64.
COPY . .
RUN scripts/build release && scripts/image-root build/release/dunlin /image

FROM scratch
ARG DUNLIN_VERSION=0.1.0
LABEL org.opencontainers.image.title="Dunlin" \
      org.opencontainers.image.description="An LLM inference service with an engine of its own" \
      org.opencontainers.image.version="${DUNLIN_VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /shared/ /usr/share/
COPY --from=builder /image/ /

# /etc/dunlin/config.toml, /usr/share/dunlin/models with the default model, /data/dunlin.
ENV PATH=/usr/bin XDG_CONFIG_HOME=/etc XDG_CACHE_HOME=/usr/share XDG_DATA_HOME=/data \
    DUNLIN_SERVER__HOST=0.0.0.0 DUNLIN_MODELS__FOLDER=/models
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["dunlin", "health"]
ENTRYPOINT ["dunlin"]
CMD ["serve"]
