package keyring

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/signer"
)

func hang(release <-chan struct{}) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		<-release
		return 1, nil
	}
}

func TestRunLimit(t *testing.T) {
	tests := []struct {
		name string
		b    *Backend
		want time.Duration
	}{
		{"zero value", &Backend{}, 3 * time.Second},
		{"short", &Backend{Timeout: time.Second}, time.Second},
		{"somebody is there", &Backend{PromptTimeout: 2 * time.Minute}, 2*time.Minute + 3*time.Second},
		{"negative", &Backend{Timeout: -1, PromptTimeout: -1}, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				release := make(chan struct{})
				_, err := run(t.Context(), tt.b, hang(release))
				if took := time.Since(start); took != tt.want+grace {
					t.Errorf("run returned after %v, want %v", took, tt.want+grace)
				}
				if !errors.Is(err, context.DeadlineExceeded) || signer.IsAbsent(err) {
					t.Errorf("run: got error %v, want one that wraps DeadlineExceeded and ends a search", err)
				}
				close(release)
			})
		})
	}
}

// An error of the call itself tells the cause better than run can.
func TestRunLetsTheCallExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := run(t.Context(), &Backend{}, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, noAnswer([]Store{KWallet}, "no-answer", "reason")
		})
		if err == nil || !strings.Contains(err.Error(), "reason") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run: got error %v, want the call's", err)
		}
	})
}

func TestRunEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := run(ctx, &Backend{}, hang(release))
		if took := time.Since(start); took != time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run returned %v after %v", err, took)
		}
	})
}

func TestRunBoundsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Backend{}
		release := make(chan struct{})
		var mu sync.Mutex
		running, most := 0, 0
		call := func(context.Context) (int, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return 0, nil
		}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := run(t.Context(), b, call); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("run: got error %v, want DeadlineExceeded", err)
				}
			})
		}
		wg.Wait()
		mu.Lock()
		if most != maxHanging {
			t.Errorf("%d calls hung, want %d", most, maxHanging)
		}
		mu.Unlock()
		_, err := run(t.Context(), b, call)
		if err == nil || !strings.Contains(err.Error(), "4 earlier calls still hang") {
			t.Errorf("run: got error %v, want the reason", err)
		}

		close(release)
		synctest.Wait()
		if _, err := run(t.Context(), b, call); err != nil {
			t.Errorf("run once nothing hangs any more: %v", err)
		}
	})
}

func TestRunContainsPanics(t *testing.T) {
	b := &Backend{}
	for range 2 * maxHanging {
		_, err := run(t.Context(), b, func(context.Context) (int, error) {
			closed := make(chan bool)
			close(closed)
			close(closed)
			return 0, nil
		})
		if err == nil || !strings.Contains(err.Error(), "close of closed channel") || signer.IsAbsent(err) {
			t.Errorf("run: got error %v, want one with the panic, which ends a search", err)
		}
		_, err = run(t.Context(), b, func(context.Context) (int, error) { panic("a secret") })
		if err == nil || strings.Contains(err.Error(), "secret") || signer.IsAbsent(err) {
			t.Errorf("run: got error %v, want one without the value of the panic, which ends a search", err)
		}
	}
}
