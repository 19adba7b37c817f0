# syntax=docker/dockerfile:1
# One image with all programs; the pod's command says which one runs. Swift's libraries are linked in.
FROM swift:6.2-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcurl4-openssl-dev libmimalloc-dev libpq-dev librdkafka-dev \
        libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Package.swift Package.resolved* ./
RUN --mount=type=cache,target=/build/.build swift package resolve
COPY Plugins Plugins
COPY Sources Sources
COPY bench bench
COPY Tests Tests
RUN --mount=type=cache,target=/build/.build \
    swift build -c release --static-swift-stdlib -Xlinker --as-needed -Xlinker -lcurl --product millrace \
    && for program in outbox-relay order-summary-projection dashboard-projection sql-projection dead-letter-handler command-service order-process query-service millrace; do \
        install -D --strip ".build/release/$program" "/programs/$program" || exit 1; \
    done

FROM debian:12-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcurl4 libjs-chart.js libmimalloc2.0 libpq5 librdkafka1 libssl3 libstdc++6 tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /programs/ /usr/bin/
COPY projections /usr/share/millrace/projections
# The number, not a name: Kubernetes can then see that it is not root.
USER 65532:65532
CMD ["/usr/bin/millrace", "--help"]
