# syntax=docker/dockerfile:1
# The one image of souk. `docker build -t souk .` builds it; what it runs as is said by `command`:
# serve (the whole shop), serve --modules=order, migrate, dev-certs, ...
FROM debian:12-slim AS build
WORKDIR /src
# The list of packages first, so that a change of code does not install them again.
COPY .ci/deps .ci/deps
RUN .ci/deps build && rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt CMakePresets.json ./
COPY .ci/build .ci/build
COPY config config
COPY include include
COPY src src
COPY modules modules
RUN --mount=type=cache,target=/root/.cache/ccache \
    .ci/build release && strip -o /souk build/release/souk

FROM debian:12-slim
# What the binary is linked with (tests/platform/phase_04.sh compares), certificates of well-known
# authorities, time zones.
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates tzdata \
        libboost-json1.81.0 libboost-url1.81.0 libc6 libdate-tz3 libfmt9 libgcc-s1 libhiredis0.14 \
        libpq5 libprometheus-cpp-core1.0 librabbitmq4 libsodium23 libsqlite3-0 libssl3 libstdc++6 \
        zlib1g && \
    rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*
# Folders that volumes are mounted on take their owner from here.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin souk && \
    install -d -o souk -g souk -m 0700 /var/lib/souk /etc/souk /etc/souk/certs
COPY --from=build /souk /usr/local/bin/souk
USER 10001:10001
WORKDIR /var/lib/souk
ENV SOUK__DATA__DIR=/var/lib/souk \
    SOUK__HTTP__ADDRESS=0.0.0.0
VOLUME /var/lib/souk
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["souk", "healthcheck"]
ENTRYPOINT ["souk"]
CMD ["serve"]
