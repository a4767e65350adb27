# The bot: one static binary that runs as nobody, with nothing else in the image but deploy.yaml.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /slipway .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /slipway /slipway
COPY deploy.yaml /etc/slipway/deploy.yaml
ENV SLIPWAY_FILE=/etc/slipway/deploy.yaml
ENTRYPOINT ["/slipway"]
