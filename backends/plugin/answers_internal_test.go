package plugin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign/signer"
)

// TestWrongAnswerAtOnce has a second caller that asks while the answer of the first is
// tried. The wrong answer must not be tried a second time.
func TestWrongAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answers
		asked := 0
		person := func(context.Context, string) ([]byte, error) {
			asked++
			return []byte("wrong"), nil
		}
		first, done, err := a.ask(t.Context(), person, "token", "PIN")
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error, 1)
		go func() {
			answer, done, err := a.ask(t.Context(), person, "token", "PIN")
			defer done()
			if answer != nil {
				err = errors.New("it got an answer to try")
			}
			second <- err
		}()
		synctest.Wait()
		if asked != 1 {
			t.Errorf("asked %d times while the first answer is tried", asked)
		}
		a.refuse("token", "PIN", first)
		done()
		if err := <-second; !errors.Is(err, signer.ErrDenied) {
			t.Errorf("the second caller: %v, want ErrDenied", err)
		}
	})
}

// TestWaitEndsWithItsContext has a second caller that leaves while the first is asked. No
// person is asked on its behalf.
func TestWaitEndsWithItsContext(t *testing.T) {
	var a answers
	asked := 0
	person := func(context.Context, string) ([]byte, error) {
		asked++
		return []byte("answer"), nil
	}
	if _, _, err := a.ask(t.Context(), person, "token", "PIN"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if answer, _, err := a.ask(ctx, person, "token", "PIN"); !errors.Is(err, context.Canceled) || answer != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}
