package keyring_test

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/keyring"
)

// patient has a time-out that is long enough for eight processes on a busy
// machine.
func patient(s keyring.Store) settings {
	return settings{Stores: []keyring.Store{s}, Timeout: patience}
}

// testRace lets 8 processes generate the same name at once, again and again.
func testRace(t *testing.T, env []string, s keyring.Store) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	t.Parallel()
	witness := startWorker(t, env, patient(s))
	var workers []*worker
	for range 8 {
		workers = append(workers, startWorker(t, env, patient(s)))
	}
	for round := range rounds {
		name := "race-" + strconv.Itoa(round)
		outcomes := make([]outcome, len(workers))
		var wg sync.WaitGroup
		for i, w := range workers {
			wg.Go(func() { outcomes[i] = w.do("generate", name) })
		}
		wg.Wait()
		var made []string
		for _, o := range outcomes {
			switch {
			case o.Error == "":
				made = append(made, o.Key)
			case !slices.Equal(o.Kinds, []string{"ErrExists"}):
				t.Errorf("round %d: %s", round, o.Error)
			}
		}
		if len(made) != 1 {
			t.Fatalf("round %d: %d processes made the key, want 1", round, len(made))
		}
		if r := witness.do("open", name); r.Key != made[0] {
			t.Errorf("round %d: the store holds %s%s, want %s", round, r.Key, r.Error, made[0])
		}
	}
}

// testKill kills a process while it generates a key, at moments spread over the
// time that takes, most of them early. The store then holds no key or a whole
// one.
func testKill(t *testing.T, env []string, s keyring.Store, rounds int) {
	t.Parallel()
	if testing.Short() {
		rounds /= 10
	}
	witness := startWorker(t, env, patient(s))
	warm := startWorker(t, env, patient(s))
	took := time.Duration(0)
	for i := range 3 {
		took = max(took, warm.do("generate", "kill-warm-"+strconv.Itoa(i)).Took)
	}
	outcomes := map[string]int{}
	for round := range rounds {
		name := "kill-" + strconv.Itoa(round)
		w := startWorker(t, env, patient(s))
		w.start("generate", name)
		moment := 1.5 * math.Pow(float64(round)/float64(rounds), 3)
		<-time.After(time.Duration(moment * float64(took))) // the moment is what is tested
		w.kill()
		switch r := witness.do("open", name); {
		case r.Error == "":
			outcomes["whole"]++
		case slices.Equal(r.Kinds, []string{"ErrNotFound"}):
			outcomes["none"]++
		default:
			t.Errorf("round %d: %s", round, r.Error)
		}
	}
	t.Logf("of %d processes killed within %v: %v", rounds, took, outcomes)
	if outcomes["whole"] == 0 || outcomes["none"] == 0 {
		t.Errorf("the kills did not fall on both sides of the write: %v", outcomes)
	}
}

// testReadWhileWritten opens a key again and again, afresh each time, while
// another process writes others.
func testReadWhileWritten(t *testing.T, env []string, s keyring.Store, keys int) {
	t.Parallel()
	if testing.Short() {
		keys /= 10
	}
	writer, reader := startWorker(t, env, patient(s)), startWorker(t, env, patient(s))
	there := writer.do("generate", "there")
	var done atomic.Bool
	go func() {
		defer done.Store(true)
		for i := range keys {
			if r := writer.do("generate", "new-"+strconv.Itoa(i)); r.Error != "" {
				t.Error(r.Error)
			}
		}
	}()
	for !done.Load() {
		if r := reader.do("open afresh", "there"); r.Key != there.Key {
			t.Errorf("the key opens as %s%s, want %s", r.Key, r.Error, there.Key)
		}
	}
}
