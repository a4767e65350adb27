package fakegcp_test

import (
	"context"
	"net"
	"testing"
	"time"

	logging "cloud.google.com/go/logging/apiv2"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/memnet"
)

// busyLog is a cloud with 15 minutes of history at 40 requests a second, and Google's client of its log.
func busyLog(b *testing.B) *logging.Client {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	network := memnet.New()
	cloud := fakegcp.New(fakegcp.Config{Project: project, Region: "us-central1", Seed: 7, LogQuota: -1})
	_, err := cloud.AddImage(images+":bad", fakegcp.Behavior{ErrorRate: 0.72, Exception: exception})
	must(err)
	must(cloud.AddService(fakegcp.ServiceSpec{Name: backend, Image: images + ":bad", RPS: 40}))
	cloud.Start(b.Context())
	l, err := network.Listen("gcp.test:443")
	must(err)
	srv := cloud.Server()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	client, err := logging.NewClient(b.Context(), option.WithEndpoint("passthrough:///gcp.test:443"), option.WithoutAuthentication(), option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return network.Dial(ctx, "tcp", addr) })))
	must(err)
	b.Cleanup(func() {
		_ = client.Close()
		cloud.Close()
		srv.Stop()
		<-served
	})
	return client
}

// BenchmarkListWindow is what a gate asks every 10 s: the requests of the last 20, out of 15 minutes at 40 a second.
func BenchmarkListWindow(b *testing.B) {
	benchmarkList(b, 20*time.Second, 300)
}

// BenchmarkListHistory reads a whole page out of the middle of the history.
func BenchmarkListHistory(b *testing.B) {
	benchmarkList(b, 10*time.Minute, 1000)
}

func benchmarkList(b *testing.B, window time.Duration, least int) {
	b.Helper()
	client := busyLog(b)
	for b.Loop() {
		it := client.ListLogEntries(b.Context(), &loggingpb.ListLogEntriesRequest{
			ResourceNames: []string{"projects/" + project}, PageSize: 1000,
			Filter: requestsOf(stable) + ` receiveTimestamp>="` + time.Now().Add(-window).Format(time.RFC3339Nano) + `"`,
		})
		page, next, err := it.InternalFetch(1000, "")
		if err == nil && len(page) == 0 && next != "" { // the page that is empty now and then
			page, _, err = it.InternalFetch(1000, next)
		}
		if err != nil || len(page) < least {
			b.Fatalf("%d entries: %v", len(page), err)
		}
	}
}
