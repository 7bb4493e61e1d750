// Package redisnonce remembers used requests in a Redis server that several gates share.
package redisnonce

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/countersign/countersign/gate/nonce"
	"github.com/countersign/countersign/internal/printable"
)

const (
	prefix = "countersign:"

	// slack is how far the clocks of the gates and of Redis may differ. After a loss
	// of memory, requests are refused for that long.
	slack = 3 * time.Second

	timeout = 2 * time.Second
)

// take accepts a request once. The epoch belongs to one run of the server: after a
// restart, a failover or a flush the memory may lack requests, also if it was loaded
// from a disk, so a new epoch begins in the same step. A server that evicts keys could
// forget a request, so it accepts none.
//
// KEYS: the request, the epoch. ARGV: ts, the seconds to keep, now, the slack.
var take = redis.NewScript(`
local policy = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)')
if policy ~= 'noeviction' then return 'policy ' .. tostring(policy) end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known, epoch = string.match(redis.call('GET', KEYS[2]) or '', '^(%x+) (%d+)$')
if known ~= run then
	local now = math.max(tonumber(redis.call('TIME')[1]), tonumber(ARGV[3]))
	epoch = string.format('%d', now + tonumber(ARGV[4]))
	redis.call('SET', KEYS[2], run .. ' ' .. epoch)
end
if KEYS[1] == '' then return 'ready' end
if tonumber(ARGV[1]) < tonumber(epoch) then return 'epoch' end
if redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[2]) then return 'taken' end
return 'used'
`)

// A Store is a [nonce.Store] in Redis.
type Store struct {
	client *redis.Client
	keep   time.Duration
}

var _ interface {
	nonce.Store
	io.Closer
} = (*Store)(nil)

// Open returns a Store in the Redis server at url, such as redis://127.0.0.1:6379/0. It
// remembers a request until past and future have gone by, and [nonce.Margin]. The
// password is in the file at passwordPath, unless that is "". An error means that the
// url or the file is malformed: Open does not wait for the server.
func Open(url, passwordPath string, past, future time.Duration) (*Store, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("the URL of Redis is malformed")
	}
	if passwordPath != "" {
		data, err := os.ReadFile(passwordPath)
		if err != nil {
			return nil, printable.Error(err)
		}
		password := strings.TrimRight(string(data), "\r\n")
		o.CredentialsProvider = func() (string, string) { return o.Username, password }
	}
	o.MaxRetries = -1   // a lost reply must not make the request a used one
	o.DialerRetries = 1 // the client of the gate asks again
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	o.ContextTimeoutEnabled = true
	return &Store{client: redis.NewClient(o), keep: past + future + nonce.Margin}, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// Take implements [nonce.Store].
func (s *Store) Take(ctx context.Context, key nonce.Key, ts time.Time) error {
	switch answer, err := s.run(ctx, prefix+hex.EncodeToString(key[:]), ts); {
	case err != nil:
		return err
	case answer == "taken":
		return nil
	case answer == "epoch":
		return nonce.ErrEpoch
	default:
		return nonce.ErrUsed
	}
}

func (s *Store) run(ctx context.Context, key string, ts time.Time) (string, error) {
	answer, err := take.Run(ctx, s.client, []string{key, prefix + "epoch"},
		strconv.FormatInt(ts.Unix(), 10), int(s.keep.Seconds()), time.Now().Unix(), int(slack.Seconds())).Text()
	if err != nil {
		return "", fmt.Errorf("%w: %s", nonce.ErrUnavailable, printable.Text(err.Error()))
	}
	if policy, ok := strings.CutPrefix(answer, "policy "); ok {
		return "", fmt.Errorf("%w: Redis has the maxmemory-policy %s, and noeviction is needed", nonce.ErrUnavailable, printable.Text(policy))
	}
	return answer, nil
}

// Ready implements [nonce.Store]. It also begins the epoch of a new server.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.run(ctx, "", time.Time{})
	return err
}
