package gcp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/fakegcp"
)

func TestInspect(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(_ context.Context, w *world) {
		s := w.service
		if s.Stable.Name != stableName || s.Image.Tag != "new" || len(s.Image.Digest) != len("sha256:")+64 {
			t.Errorf("stable %q, image %+v", s.Stable.Name, s.Image)
		}
		if s.URL == "" || s.OldImage == "" || s.OldImage == s.Image.Reference() {
			t.Errorf("url %q, old image %q", s.URL, s.OldImage)
		}
		b := s.Baseline
		if b == nil || b.Problem != "" || b.Requests != baselineRequests {
			t.Fatalf("baseline %+v, want the newest %d requests", b, baselineRequests)
		}
		if rate := float64(b.Errors) / float64(b.Requests); rate < 0.70 || rate > 0.74 {
			t.Errorf("error rate %v, want 72%%", rate)
		}
		// 2,000 requests at 20 a second take 100 s: the window begins with the oldest that was counted.
		if span := b.Until.Sub(b.Since); span < 90*time.Second || span > 110*time.Second {
			t.Errorf("the window spans %v, want about 100 s", span)
		}
		var requests, errors int64
		for _, p := range b.Points {
			requests, errors = requests+p.Requests, errors+p.Errors
		}
		if len(b.Points) != 20 || requests != b.Requests || errors != b.Errors || b.Points[0].At != b.Since {
			t.Errorf("%d points with %d requests and %d errors, want the baseline's %d and %d", len(b.Points), requests, errors, b.Requests, b.Errors)
		}
	})
}

func TestInspectByDigestAndUnknownTag(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		byDigest, err := w.cloud.Inspect(ctx, spec(), w.service.Image.Digest, time.Now())
		must(t, err)
		if byDigest.Image.Reference() != w.service.Image.Reference() || byDigest.Image.Tag != "" {
			t.Errorf("by digest: %+v", byDigest.Image)
		}
		_, err = w.cloud.Inspect(ctx, spec(), "nobody-pushed-this", time.Now())
		wantFailure(t, err, "image_missing", "nobody-pushed-this", "Push it")
		unknown := spec()
		unknown.CloudRun = "other"
		_, err = w.cloud.Inspect(ctx, unknown, "", time.Now())
		wantFailure(t, err, "not_found", "other", "deploy.yaml")
		_, err = w.cloud.Inspect(ctx, spec(), "not a tag", time.Now())
		wantFailure(t, err, "image_malformed")
	})
}

func TestInspectWithoutLogsIsAProblemAndNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fakegcp.Config{}, fakegcp.Behavior{})
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED", Count: -1}))
		s, err := w.cloud.Inspect(t.Context(), spec(), "", time.Now())
		must(t, err)
		if s.Baseline == nil || s.Baseline.Problem == "" || s.Baseline.Requests != 0 {
			t.Errorf("baseline %+v, want a problem", s.Baseline)
		}
	})
}

func TestInspectIsShortWhenTheCloudIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fakegcp.Config{}, fakegcp.Behavior{})
		must(t, w.fake.Fault(fakegcp.Fault{Method: "GetService", Kind: fakegcp.FaultTimeout, Count: -1}))
		began := time.Now()
		_, err := w.cloud.Inspect(t.Context(), spec(), "", time.Now())
		wantFailure(t, err, "no_answer", "did not answer", "Retry")
		if time.Since(began) > callTime+time.Second {
			t.Errorf("it took %v, want at most %v", time.Since(began), callTime)
		}
	})
}
