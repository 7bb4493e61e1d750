package signin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signin"
)

const appVariable = "COUNTERSIGN_TEST_APP"

// A message is what the app of a test tells: a state, a prompt, or the end of an order.
type message struct {
	State  *shownState
	Prompt *signer.PromptEvent
	Done   string // the order
	Kinds  []string
	Error  string
}

// A shownState is a State as JSON.
type shownState struct {
	Ref, Fingerprint, Account string
	Locked                    bool
	Kinds                     []string // of the error
}

// runApp is a whole app without a window: it tells its states and prompts on stdout, and
// does the orders that it reads: "ensure", "account" and "get NAME", in 20 goroutines.
func runApp(server string) {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	tell := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		if err := out.Encode(m); err != nil {
			os.Exit(1) // the test has ended
		}
	}
	client, err := signin.New(server)
	if err != nil {
		tell(message{Error: err.Error()})
		return
	}
	client.Prompt = func(e signer.PromptEvent) { tell(message{Prompt: &e}) }
	go client.Watch(context.Background(), func(s signin.State) {
		tell(message{State: &shownState{s.Ref, s.Fingerprint, s.Account.Name, s.Locked, kindsOf(s.Err)}})
	})
	web := client.HTTP()
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		err := do(client, web, orders.Text())
		m := message{Done: orders.Text(), Kinds: kindsOf(err)}
		if err != nil {
			m.Error = err.Error()
		}
		tell(m)
	}
}

func do(client *signin.Client, web *http.Client, order string) error {
	ctx := context.Background()
	name, get := strings.CutPrefix(order, "get ")
	if get {
		errs := make([]error, 20)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = getImage(web, client.Server.String(), name) })
		}
		all.Wait()
		for i, err := range errs {
			if fmt.Sprint(kindsOf(err)) != fmt.Sprint(kindsOf(errs[0])) {
				return fmt.Errorf("goroutine %d: %w; goroutine 0: %w", i, err, errs[0])
			}
		}
		return errs[0]
	}
	key, err := client.EnsureKey(ctx)
	if err != nil || order == "ensure" {
		return err
	}
	_, err = client.Account(ctx, key)
	return err
}

func getImage(web *http.Client, server, name string) error {
	resp, err := web.Get(server + "/v2/" + name + "/manifests/latest")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func kindsOf(err error) []string {
	var kinds []string
	for _, kind := range []error{signer.ErrNotFound, signer.ErrLocked, signer.ErrDenied, signer.ErrUnavailable, signin.ErrNotConnected} {
		if errors.Is(err, kind) {
			kinds = append(kinds, kind.Error())
		}
	}
	return kinds
}
