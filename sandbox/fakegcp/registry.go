package fakegcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Behavior is what a container image does when it runs. The zero value is a healthy service.
type Behavior struct {
	ErrorRate    float64       // share of requests answered 500, 0 to 1
	Exception    string        // last line of the Python traceback that goes with each error; none if empty
	CrashOnStart bool          // the container exits before it listens
	NeverListens bool          // the container runs and never listens
	ReadyAfter   time.Duration // from the revision's creation until it is ready; 4 s if left out
	Latency      time.Duration // median of a request; 80 ms if left out

	WrongPlatform bool          `json:",omitempty"` // built for linux/arm64: the container cannot be executed
	PullDenied    bool          `json:",omitempty"` // Cloud Run may not pull the image; others may
	SecretDenied  string        `json:",omitempty"` // a secret that the revision needs and may not read
	Stuck         bool          `json:",omitempty"` // the revision neither becomes ready nor fails, ever
	CrashAfter    time.Duration `json:",omitempty"` // from being ready until the container exits for good: 503 from then on

	// How requests fail and how long they take. Errors come evenly at ErrorRate, except as these say; the times
	// count from the first request that users' traffic brings the revision.
	ErrorsAfter  time.Duration `json:",omitempty"` // none fails before
	ErrorsUntil  time.Duration `json:",omitempty"` // none fails from then on; 0: no end
	ErrorBursts  time.Duration `json:",omitempty"` // all errors come in bursts that long, in which every request fails
	ErrorLatency time.Duration `json:",omitempty"` // of a failing request; as of the others if left out
	SlowShare    float64       `json:",omitempty"` // share of requests that take SlowLatency, 0 to 1
	SlowLatency  time.Duration `json:",omitempty"`

	// Jobs says how the image runs as a job: the key is looked for in the space-separated command and
	// arguments, the longest match counts, "" is for the rest. Without a match the job succeeds.
	Jobs map[string]JobBehavior
}

// JobBehavior is one run of a job.
type JobBehavior struct {
	Duration  time.Duration // 5 s if left out
	ExitCode  int           // anything but 0 fails the task
	Output    []string      // lines on stdout, or on stderr if the task fails
	NeverEnds bool          // runs into the task's timeout
}

func newRegistry() http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)))
}

// RegistryHandler serves the images that AddImage made, under /v2/. Faults of the method "Registry" are
// its own.
func (c *Cloud) RegistryHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.delay(r.Context(), c.takeLatency(registryMethod)) != nil {
			return
		}
		if f := c.takeFault(registryMethod); f != nil {
			c.sufferHTTP(w, r, f)
			return
		}
		c.registry.ServeHTTP(w, r)
	})
}

// AddImage puts an image under ref, for example "us-docker.pkg.dev/netra-staging/apps/backend:develop", and
// returns its digest ("sha256:…"), which depends on ref and b alone. A tag that exists moves.
func (c *Cloud) AddImage(ref string, b Behavior) (digest string, err error) {
	tag, err := name.NewTag(ref, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	if tag.RegistryStr() != c.cfg.RegistryHost {
		return "", fmt.Errorf("image %q: this registry is %s", ref, c.cfg.RegistryHost)
	}
	img, err := image(ref, b)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	hash, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	if err := remote.Write(tag, img, remote.WithTransport(inProcess{c.registry})); err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behaviors[hash.String()] = b
	return hash.String(), nil
}

func image(ref string, b Behavior) (v1.Image, error) {
	content, err := json.Marshal(struct {
		Ref      string
		Behavior Behavior
	}{ref, b})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(content, types.DockerLayer))
	if err != nil {
		return nil, err
	}
	if b.WrongPlatform {
		file, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		file = file.DeepCopy()
		file.OS, file.Architecture = "linux", "arm64"
		if img, err = mutate.ConfigFile(img, file); err != nil {
			return nil, err
		}
	}
	return mutate.Config(img, v1.Config{Labels: map[string]string{"ref": ref}, Entrypoint: []string{"gunicorn"}})
}

// resolve finds what a template's image reference points at; ok is false when the registry has no such image.
func (c *Cloud) resolve(ref string) (digest string, b Behavior, ok bool) {
	parsed, err := name.ParseReference(ref)
	if err != nil || parsed.Context().RegistryStr() != c.cfg.RegistryHost {
		return "", Behavior{}, false
	}
	path := "/v2/" + parsed.Context().RepositoryStr() + "/manifests/" + parsed.Identifier()
	rec := httptest.NewRecorder()
	c.registry.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	if rec.Code != http.StatusOK {
		return "", Behavior{}, false
	}
	hash, _, err := v1.SHA256(bytes.NewReader(rec.Body.Bytes()))
	if err != nil {
		return "", Behavior{}, false
	}
	return hash.String(), c.behaviors[hash.String()], true
}

// pinned is the image reference with its tag replaced by the digest.
func pinned(ref, digest string) string {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return ref
	}
	return parsed.Context().Name() + "@" + digest
}

// inProcess sends requests to a handler without a network.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	t.handler.ServeHTTP(rec, req)
	res := rec.Result()
	res.Request = req
	return res, nil
}
