package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/rollout"
)

// registry looks images up by the registry's HTTP API (OCI distribution specification, manifests
// and configurations), without pulling anything.
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

// resolve returns the image that people mean by what: a tag, or a digest as "sha256:…". An image that
// Cloud Run could not run is a *rollout.Failure.
func (r *registry) resolve(ctx context.Context, repository, what string) (rollout.Image, error) {
	image := rollout.Image{Repository: repository, Tag: what}
	reference := repository + ":" + what
	if strings.HasPrefix(what, "sha256:") {
		image.Tag = ""
		reference = repository + "@" + what
	}
	parsed, options, cancel, err := r.ask(ctx, reference)
	if err != nil {
		return image, err
	}
	defer cancel()
	found, err := remote.Get(parsed, options...)
	if err != nil {
		return image, explainRegistry(err, reference)
	}
	image.Digest = found.Digest.String()
	platforms, err := platformsOf(found)
	if err != nil {
		return image, explainRegistry(err, reference)
	}
	if len(platforms) > 0 && !slices.ContainsFunc(platforms, runsOnCloudRun) {
		return image, notForCloudRun(reference, platforms)
	}
	return image, nil
}

// platformsOf lists what an image says it was built for: nothing, if it does not say.
func platformsOf(found *remote.Descriptor) ([]v1.Platform, error) {
	if !found.MediaType.IsIndex() {
		return platformOf(found)
	}
	index, err := found.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var all []v1.Platform
	for _, m := range manifest.Manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" { // attestations call themselves unknown/unknown
			all = append(all, *m.Platform)
		}
	}
	return all, nil
}

func platformOf(found *remote.Descriptor) ([]v1.Platform, error) {
	if !found.MediaType.IsImage() {
		return nil, nil
	}
	image, err := found.Image()
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	if config.Architecture == "" {
		return nil, nil
	}
	return []v1.Platform{{OS: config.OS, Architecture: config.Architecture}}, nil
}

// runsOnCloudRun: https://cloud.google.com/run/docs/container-contract#languages asks for 64-bit Linux
// on x86.
func runsOnCloudRun(p v1.Platform) bool {
	return p.Architecture == "amd64" && (p.OS == "linux" || p.OS == "")
}

func notForCloudRun(reference string, platforms []v1.Platform) *rollout.Failure {
	var built []string
	for _, p := range platforms {
		built = append(built, p.String())
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("%s is built for %s, and Cloud Run needs linux/amd64. Build it with --platform linux/amd64 and push it again.",
			reference, strings.Join(built, ", ")),
		Label: string(wrongPlatform),
	}
}

// head asserts that a reference is in the registry. A *rollout.Failure says what people can do about it.
func (r *registry) head(ctx context.Context, reference string) error {
	parsed, options, cancel, err := r.ask(ctx, reference)
	if err != nil {
		return err
	}
	defer cancel()
	if _, err = remote.Head(parsed, options...); err != nil {
		return explainRegistry(err, reference)
	}
	return nil
}

// ask prepares a request. One that gets no answer, or one that says to come again, is tried three times, over
// some seconds: whatever the network's reason, as a question can always be repeated.
func (r *registry) ask(ctx context.Context, reference string) (name.Reference, []remote.Option, context.CancelFunc, error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return nil, nil, nil, &rollout.Failure{
			Reason: fmt.Sprintf("%q is not an image. Give a tag, or a digest as sha256:….", reference),
			Label:  "image_malformed", Err: err,
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	return parsed, []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(r.transport), remote.WithAuthFromKeychain(r.keys),
		remote.WithRetryPredicate(func(err error) bool { return err != nil && ctx.Err() == nil }),
	}, cancel, nil
}

func explainRegistry(err error, reference string) *rollout.Failure {
	var answer *transport.Error
	code := 0
	if errors.As(err, &answer) {
		code = answer.StatusCode
	}
	switch code {
	case http.StatusNotFound:
		return &rollout.Failure{
			Reason: fmt.Sprintf("There is no image %s. Push it, or name a tag or digest that exists.", reference),
			Label:  string(imageMissing), Err: err,
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		return &rollout.Failure{
			Reason: fmt.Sprintf("Slipway may not look at %s. Grant Slipway's account roles/artifactregistry.reader on the repository (the command is under Details), then retry.", reference),
			Detail: grantPull(reference, "ACCOUNT"), Label: string(imageDenied), Err: err,
		}
	case http.StatusTooManyRequests:
		return &rollout.Failure{
			Reason: fmt.Sprintf("The registry answers no more questions about %s for now: its quota is used up. Retry in a minute.", reference),
			Label:  string(quota), Err: err,
		}
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("The registry did not answer about %s, though asked several times. Retry in a minute; if it stays silent, see https://status.cloud.google.com.", reference),
		Label:  registryDown, Err: err,
	}
}

const registryDown = "registry_down"

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
