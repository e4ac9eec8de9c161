# Both commands and nothing else: docker build -t tandem .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Without cgo the binaries need no libc; without paths and with the revision
# they can be built again and compared.
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags="-s -w" -o /out/bin/ ./cmd/node ./cmd/registrar

FROM scratch
LABEL org.opencontainers.image.title="tandem" \
      org.opencontainers.image.description="A distributed actor cluster for Go: registrar and node" \
      org.opencontainers.image.source="https://github.com/tandem-actors/tandem"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/bin/ /bin/
ENV PATH=/bin
USER 65532:65532
# HTTP API, NATS for nodes, NATS routes, gossip.
EXPOSE 8400 4222 6222 7946 7946/udp
CMD ["node", "--help"]
