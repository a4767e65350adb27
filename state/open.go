package state

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Dial opens a connection to Redis; tests and the sandbox bring their own.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Open connects to the Redis at address and makes sure that it answers. The forms, where rediss in
// place of redis means TLS:
//
//	redis://[user:password@]host[:port][/db]
//	redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db]
//	redis+cluster://[user:password@]host[:port][,host[:port]…]
//
// The hosts of the second are Sentinels, port 26379 if none is given; their own user and password, if
// they have them, are the parameters sentinel_user and sentinel_password. dial may be nil. No error
// contains the address, because the password is part of it. The caller closes the client.
func Open(ctx context.Context, address string, dial Dial) (redis.UniversalClient, error) {
	client, away, err := OpenLater(ctx, address, dial)
	if err != nil {
		return nil, err
	}
	if away != nil {
		return nil, errors.Join(away, client.Close())
	}
	return client, nil
}

// OpenLater is Open for who can do without Redis for a while. away is an *Error that may pass, such as
// that nobody answers; the client connects by itself once that is over. An error is one that does not pass,
// such as a wrong password.
func OpenLater(ctx context.Context, address string, dial Dial) (client redis.UniversalClient, away, err error) {
	options, err := parse(address)
	if err != nil {
		return nil, nil, err
	}
	if dial != nil {
		options.Dialer = secured(dial, options.TLSConfig)
	}
	client = redis.NewUniversalClient(options)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err = client.Ping(ctx).Err()
	if redis.IsAuthError(err) || redis.IsPermissionError(err) {
		return nil, nil, errors.Join(failed("open", err), client.Close())
	}
	return client, failed("open", err), nil
}

const openTimeout = 5 * time.Second

// parse reads the address and sets what the store relies on: nothing is repeated behind its back (a
// command whose reply was lost has happened), and contexts bound the socket's reads and writes.
func parse(address string) (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	transport, kind, _ := strings.Cut(scheme, "+")
	if transport != "redis" && transport != "rediss" {
		return nil, errAddress
	}
	o := &redis.UniversalOptions{
		MaxRetries: -1, DialerRetries: 1, DialTimeout: defaultTimeout, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch kind {
	case "":
		return o, parseNode(o, address)
	case "sentinel":
		return o, parseSentinel(o, transport, rest)
	case "cluster":
		return o, parseCluster(o, transport, rest)
	}
	return nil, errAddress
}

func parseNode(o *redis.UniversalOptions, address string) error {
	node, err := redis.ParseURL(address)
	if err != nil {
		return errAddress
	}
	o.Addrs, o.DB, o.Username, o.Password, o.TLSConfig = []string{node.Addr}, node.DB, node.Username, node.Password, node.TLSConfig
	return nil
}

func parseSentinel(o *redis.UniversalOptions, transport, rest string) error {
	u, err := parseHosts(o, transport, rest, "26379")
	if err != nil {
		return err
	}
	master, db, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if master == "" {
		return errAddress
	}
	if db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 {
			return errAddress
		}
	}
	query := u.Query()
	o.MasterName, o.SentinelUsername, o.SentinelPassword = master, query.Get("sentinel_user"), query.Get("sentinel_password")
	query.Del("sentinel_user")
	query.Del("sentinel_password")
	if len(query) > 0 {
		return errAddress
	}
	return nil
}

func parseCluster(o *redis.UniversalOptions, transport, rest string) error {
	u, err := parseHosts(o, transport, rest, "6379")
	if err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" { // a cluster has one database
		return errAddress
	}
	o.IsClusterMode = true
	return nil
}

// parseHosts reads the user, the password and the list of hosts, and leaves the rest to the caller.
func parseHosts(o *redis.UniversalOptions, transport, rest, port string) (*url.URL, error) {
	start := strings.LastIndex(rest[:authorityEnd(rest)], "@") + 1
	hosts, end := rest[start:authorityEnd(rest)], rest[authorityEnd(rest):]
	for host := range strings.SplitSeq(hosts, ",") {
		node, err := url.Parse("redis://" + host)
		if err != nil || node.Hostname() == "" || node.Host != host {
			return nil, errAddress
		}
		o.Addrs = append(o.Addrs, net.JoinHostPort(node.Hostname(), cmp.Or(node.Port(), port)))
	}
	u, err := url.Parse("redis://" + rest[:start] + "hosts" + end)
	if err != nil {
		return nil, errAddress
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if transport == "rediss" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return u, nil
}

// authorityEnd is where the hosts of what follows :// end.
func authorityEnd(rest string) int {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return i
	}
	return len(rest)
}

var errAddress = errors.New("the address of Redis is not valid; want redis://[user:password@]host[:port][/db], " +
	"redis+sentinel://[user:password@]host[:port],…/master[/db] or redis+cluster://[user:password@]host[:port],…; rediss for TLS")

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
