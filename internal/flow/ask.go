package flow

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"

	"filippo.io/age"
	"golang.org/x/term"

	"banyan/internal/command"
)

// asker asks for the passphrase of a seed on every console, while others are still
// looked for.
type asker struct {
	ctx      context.Context // of the process: the question is older than any call
	question func(context.Context) age.Identity
	answered chan struct{} // is sent to when there is an answer to try

	mu      sync.Mutex
	cancel  func() // of the open question, or nil
	answer  age.Identity
	untried bool // the answer
	done    sync.WaitGroup
}

func newAsker(ctx context.Context, question func(context.Context) age.Identity) *asker {
	return &asker{ctx: ctx, question: question, answered: make(chan struct{}, 1)}
}

// identities are what the last answer opens. A wrong one stays until the next, so that
// what is said of the seed stays too and the question is not pushed off the screen.
func (a *asker) identities() []age.Identity {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.untried = false
	if a.answer == nil {
		return nil
	}
	return []age.Identity{a.answer}
}

// ask has the question asked, or taken back.
func (a *asker) ask(wanted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case wanted && a.cancel == nil && !a.untried:
		ctx, cancel := context.WithCancel(a.ctx)
		a.cancel = cancel
		a.done.Go(func() {
			answer := a.question(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			cancel()
			a.answer, a.untried, a.cancel = answer, answer != nil, nil
			if answer != nil {
				select {
				case a.answered <- struct{}{}:
				default: // there is a sign already
				}
			}
		})
	case !wanted && a.cancel != nil:
		a.cancel()
	}
}

// stop takes the question back and waits until the consoles are free.
func (a *asker) stop() {
	a.ask(false)
	a.done.Wait()
}

// question asks once, and returns nil where nobody answers. Debian's own programs ask:
// systemd-ask-password(1) through an agent, which has the consoles as long as the login
// prompts are away.
func question(ctx context.Context) age.Identity {
	const patience = "600" // seconds
	if _, err := command.Run(ctx, "systemctl", "stop", "getty@*.service", "serial-getty@*.service"); err != nil {
		log.Printf("free the consoles: %v", err)
	}
	agents, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		// Without a name it has an agent on each console, in a session of its own, as
		// whoever is to own a terminal needs one.
		_, err := command.Run(agents, "systemd-tty-ask-password-agent", "--watch", "--console")
		if err != nil && agents.Err() == nil {
			log.Printf("ask on the consoles: %v", err)
		}
	})
	out, err := command.Run(ctx, "systemd-ask-password", "--no-tty", "--timeout="+patience, "--icon=drive-removable-media", "Passphrase of the seed:")
	end()
	running.Wait()
	if _, err := command.Run(context.WithoutCancel(ctx), "systemctl", "start", "--no-block", "getty.target"); err != nil {
		log.Printf("bring the login prompts back: %v", err)
	}
	if err != nil {
		if ctx.Err() == nil {
			log.Printf("nobody gave the passphrase of the seed: %v", err)
		}
		return nil
	}
	return byPassphrase(strings.TrimRight(out, "\r\n"))
}

// questionHere asks whoever has called this program, and returns nil where that is
// nobody at a terminal.
func questionHere() (age.Identity, error) {
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, nil
	}
	fmt.Fprint(os.Stderr, "Passphrase of the seed: ")
	answer, err := term.ReadPassword(terminal)
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return nil, err
	}
	return byPassphrase(string(answer)), nil
}

// byPassphrase opens what the passphrase opens, or is nil where that is empty.
func byPassphrase(passphrase string) age.Identity {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil
	}
	identity.SetMaxWorkFactor(19) // half a gigabyte: a seed may have been made to fill the memory
	return identity
}
