package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/rollout"
)

// registry looks images up by the registry's HTTP API (OCI distribution specification, HEAD of a
// manifest), without pulling anything.
type registry struct {
	transport http.RoundTripper
	keys      authn.Keychain
	idle      interface{ CloseIdleConnections() }
}

func newRegistry(cfg Config) *registry {
	network := http.DefaultTransport.(*http.Transport).Clone()
	if cfg.Registry == "" {
		keys := authn.NewMultiKeychain(google.Keychain, authn.DefaultKeychain)
		return &registry{transport: network, keys: keys, idle: network}
	}
	if cfg.Dial != nil {
		network.DialContext = cfg.Dial
	}
	network.Proxy = nil
	return &registry{transport: localRegistry{host: cfg.Registry, next: network}, keys: anonymous{}, idle: network}
}

// Close drops idle connections.
func (r *registry) Close() error {
	r.idle.CloseIdleConnections()
	return nil
}

// resolve returns the image that people mean by what: a tag, or a digest as "sha256:…".
func (r *registry) resolve(ctx context.Context, repository, what string) (rollout.Image, error) {
	image := rollout.Image{Repository: repository, Tag: what}
	reference := repository + ":" + what
	if strings.HasPrefix(what, "sha256:") {
		image.Tag = ""
		reference = repository + "@" + what
	}
	digest, err := r.head(ctx, reference)
	image.Digest = digest
	return image, err
}

// head returns the digest of a reference. A *rollout.Failure says what people can do about it.
func (r *registry) head(ctx context.Context, reference string) (string, error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return "", &rollout.Failure{
			Reason: fmt.Sprintf("%q is not an image. Give a tag, or a digest as sha256:….", reference),
			Label:  "image_malformed", Err: err,
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, err := remote.Head(parsed,
		remote.WithContext(ctx), remote.WithTransport(r.transport), remote.WithAuthFromKeychain(r.keys))
	if err != nil {
		return "", explainRegistry(err, reference)
	}
	return found.Digest.String(), nil
}

func explainRegistry(err error, reference string) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("cannot ask the registry for %s: %w", reference, err)
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return &rollout.Failure{
			Reason: fmt.Sprintf("There is no image %s. Push it, or name a tag or digest that exists.", reference),
			Label:  "image_missing", Err: err,
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		return &rollout.Failure{
			Reason: fmt.Sprintf("Slipway may not look at %s. Grant its account roles/artifactregistry.reader on the repository.", reference),
			Label:  "image_denied", Err: err,
		}
	}
	return fmt.Errorf("the registry cannot answer for %s just now: %w", reference, err)
}

// localRegistry sends requests for any registry to one host, in the clear.
type localRegistry struct {
	host string
	next http.RoundTripper
}

func (l localRegistry) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host, request.Host = "http", l.host, l.host
	return l.next.RoundTrip(request)
}

// anonymous has no keys, so that a local registry is never sent any.
type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }
