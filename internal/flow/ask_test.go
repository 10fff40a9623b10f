package flow

import (
	"context"
	"testing"
	"testing/synctest"

	"filippo.io/age"
)

// A question is asked once until it is answered, and is taken back when nobody needs
// it any more.
func TestAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answers := 0, make(chan string)
		a := newAsker(t.Context(), func(ctx context.Context) age.Identity {
			asked++
			select {
			case answer := <-answers:
				return byPassphrase(answer)
			case <-ctx.Done():
				return nil
			}
		})
		a.ask(false)
		for range 3 {
			a.ask(true)
			synctest.Wait()
		}
		if asked != 1 || a.identities() != nil {
			t.Errorf("asked %d times", asked)
		}
		answers <- "Hush"
		<-a.answered
		a.ask(true) // by who has not tried the answer yet
		synctest.Wait()
		if asked != 1 {
			t.Error("asked again before the answer was tried")
		}
		if got := a.identities(); len(got) != 1 {
			t.Errorf("got %v", got)
		}

		a.ask(true)
		answers <- "" // nobody can mean that
		synctest.Wait()
		a.ask(true)
		synctest.Wait()
		if asked != 3 || len(a.answered) != 0 || a.identities() != nil {
			t.Errorf("asked %d times", asked)
		}
		a.stop()
		if a.identities() != nil {
			t.Error("what was taken back was answered")
		}
	})
}
