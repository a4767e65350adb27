package state

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Dial opens a connection to Redis; tests and the sandbox bring their own.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Open connects to the Redis at address (redis://[user:password@]host[:port][/db], or rediss:// for TLS)
// and makes sure that it answers. dial may be nil. No error contains the address, because the
// password is part of it. The caller closes the client.
func Open(ctx context.Context, address string, dial Dial) (redis.UniversalClient, error) {
	options, err := parse(address)
	if err != nil {
		return nil, err
	}
	if dial != nil {
		options.Dialer = secured(dial, options.TLSConfig)
	}
	client := redis.NewUniversalClient(options)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(failed("open", err), client.Close())
	}
	return client, nil
}

const openTimeout = 5 * time.Second

// parse reads the address and sets what the store relies on: nothing is repeated behind its back (a
// command whose reply was lost has happened), and contexts bound the socket's reads and writes.
func parse(address string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") {
		return nil, errAddress
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, errAddress
	}
	return &redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: defaultTimeout, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, nil
}

var errAddress = errors.New("the address of Redis is not valid; want redis://[user:password@]host[:port][/db], or rediss:// for TLS")

// secured puts TLS over dial, which the client only does for its own dialer.
func secured(dial Dial, config *tls.Config) Dial {
	if config == nil {
		return dial
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		plain, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, plain.Close())
		}
		return conn, nil
	}
}
