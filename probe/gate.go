package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"slipway/rollout"
)

// testTime bounds one test request: a gate counts how it was answered from the log.
const testTime = 5 * time.Second

// Probe implements rollout.Prober: a GET of a path on the new revision's own address. It follows no redirect, which
// is an answer too.
func (p *Probes) Probe(ctx context.Context, s rollout.Service, path string) error {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	base, err := url.Parse(s.Candidate.URL)
	if err != nil || base.Host == "" {
		return fmt.Errorf("%s has no address of its own", s.Candidate.Name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.Scheme+"://"+base.Host+path, nil)
	if err != nil {
		return fmt.Errorf("make a test request: %w", err)
	}
	request.Header.Set("User-Agent", rollout.GateAgent+"/1")
	client := *p.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("test request: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, bodyLimit))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	return err
}

var _ rollout.Prober = (*Probes)(nil)
