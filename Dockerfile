# The bot: one static binary that runs as nobody, with nothing else in the image but deploy.yaml. It
# listens to nothing, so there is no port and no health check; it ends when it cannot go on.
#
#   docker build --build-arg VERSION="$(git describe --tags --always --dirty)" --tag slipway .
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The dependencies are a layer of their own, which only go.mod and go.sum make anew.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What "slipway version" prints; without the argument, when the image was built.
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -o /slipway \
    -ldflags="-s -w -X main.version=${VERSION:-built-$(date -u +%Y-%m-%dT%H:%M:%SZ)}" .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /slipway /slipway
COPY deploy.yaml /etc/slipway/deploy.yaml
ENV SLIPWAY_FILE=/etc/slipway/deploy.yaml
USER nonroot:nonroot
ENTRYPOINT ["/slipway"]
