//go:build services

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/rollout"
)

// A store over Sentinel survives the loss of its primary, and no fence is ever given twice.
func TestSentinelFailover(t *testing.T) {
	primary := startRedis(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1", primary)
	sentinel := startSentinel(t, primary)
	client, err := Open(t.Context(), "redis+sentinel://127.0.0.1:"+sentinel+"/main", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	b := &bench{Store: New(client, Options{LeaseTTL: time.Second, Timeout: time.Second}), client: client}

	r := b.start(t, "aaaaaa", staging)
	before := b.claim(t, "one", "aaaaaa")
	until(t, "the replica has the rollout", func() error { return behind(t, replica, "{slipway}:rollout:aaaaaa") })
	until(t, "Sentinel knows the replica", func() error { return b.knows(t, sentinel) })
	shutdown(t, primary)

	var after rollout.Lease
	until(t, "the replica to take over", func() error {
		l, ok, err := b.Claim(t.Context(), "two")
		if err == nil && !ok {
			err = errors.New("nothing is due yet")
		}
		after = l
		return err
	})
	if after.Rollout != "aaaaaa" || after.Fence <= before.Fence {
		t.Errorf("claimed %+v after %+v", after, before)
	}
	b.commit(t, r, after.Fence, rollout.Over, time.Time{})
	if _, held, err := b.Holder(t.Context(), staging); held || err != nil {
		t.Errorf("the lock is held (%v), %v", held, err)
	}
}

// All of the store's keys share one hash tag, so every script runs on a cluster.
func TestCluster(t *testing.T) {
	first, second := startRedis(t, "--cluster-enabled", "yes"), startRedis(t, "--cluster-enabled", "yes")
	slots(t, first, 0, 8191)
	slots(t, second, 8192, 16383)
	node := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + first})
	defer node.Close()
	if err := node.ClusterMeet(t.Context(), "127.0.0.1", second).Err(); err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{first, second} {
		until(t, "the cluster", func() error { return clusterUp(t, port) })
	}
	client, err := Open(t.Context(), "redis+cluster://127.0.0.1:"+second+",127.0.0.1:"+first, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	b := &bench{Store: New(client, Options{}), client: client}

	wakes := b.Wakes(t.Context())
	r := b.start(t, "aaaaaa", staging)
	if woken := <-wakes; woken != "aaaaaa" {
		t.Errorf("woken for %q", woken)
	}
	l := b.claim(t, "one", "aaaaaa")
	if _, err := b.Renew(t.Context(), l); err != nil {
		t.Error(err)
	}
	if fresh, err := b.Accept(t.Context(), "click", []byte("body")); !fresh || err != nil {
		t.Errorf("accepted: %v, %v", fresh, err)
	}
	id, _, ok, err := b.Take(t.Context(), "one", time.Minute)
	if id != "click" || !ok || err != nil {
		t.Errorf("took %q, %v, %v", id, ok, err)
	}
	b.unit = time.Minute
	b.holds(t, "one", true)
	b.wantBook(t, book("aaaaaa"), b.save(t, "one", book("aaaaaa"), 0))
	b.saveWatches(t, "one", "1")
	b.wantWatches(t, "1")
	b.yields(t, "one")
	b.joined(t, 1, staging, oncall)
	b.commit(t, r, l.Fence, rollout.Over, time.Time{})
	b.wantTurn(t, staging, oncall)
	b.told(t, oncall, TurnOpen)
	if left, err := b.Leave(t.Context(), "leave", staging, oncall); left != rollout.LeftTurn || err != nil {
		t.Errorf("left %q, %v", left, err)
	}
	past, err := b.History(t.Context(), "staging", 5)
	if len(past) != 1 || err != nil {
		t.Errorf("history has %d, %v", len(past), err)
	}
}

func startSentinel(t *testing.T, primary string) (port string) {
	t.Helper()
	for range 5 {
		port := freePort(t)
		conf := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %s 1\n"+
			"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", port, t.TempDir(), primary)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if serve(t, []string{conf, "--sentinel"}) != nil {
			return port
		}
	}
	t.Fatal("redis-server --sentinel did not start")
	return ""
}

// knows reports whether Sentinel has found the replica, without which it cannot fail over.
func (b *bench) knows(t *testing.T, sentinel string) error {
	t.Helper()
	s := redis.NewSentinelClient(&redis.Options{Addr: "127.0.0.1:" + sentinel})
	defer s.Close()
	replicas, err := s.Replicas(t.Context(), "main").Result()
	if err == nil && (len(replicas) != 1 || replicas[0]["master-link-status"] != "ok") {
		err = fmt.Errorf("replicas: %v", replicas)
	}
	return err
}

func behind(t *testing.T, port, key string) error {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer c.Close()
	n, err := c.Exists(t.Context(), key).Result()
	if err == nil && n == 0 {
		err = errors.New("not there yet")
	}
	return err
}

func shutdown(t *testing.T, port string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, MaxRetries: -1})
	defer c.Close()
	_ = c.ShutdownNoSave(t.Context()).Err() // hangs up instead of an answer
}

func slots(t *testing.T, port string, from, to int) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer c.Close()
	if err := c.ClusterAddSlotsRange(t.Context(), from, to).Err(); err != nil {
		t.Fatal(err)
	}
}

func clusterUp(t *testing.T, port string) error {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer c.Close()
	shards, err := c.ClusterShards(t.Context()).Result()
	if err == nil && len(shards) != 2 {
		err = fmt.Errorf("%d ranges of slots are known", len(shards))
	}
	if err == nil {
		err = c.Get(t.Context(), "{slipway}:nothing").Err()
	}
	if errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "MOVED") {
		return nil
	}
	return err
}

// until asks again every 50 ms: what it waits for happens in processes that tell nobody.
func until(t *testing.T, what string, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for err := holds(); err != nil; err = holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}
