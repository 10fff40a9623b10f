package flow

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"time"

	"banyan/internal/command"
	"banyan/internal/console"
	"banyan/internal/source"
	"banyan/internal/status"
	"banyan/seeds"
)

// plantTime is how long it may take until the machine has its configuration.
const plantTime = 5 * time.Minute

// errPlanted says that it is too late to plant. What would become of the data of a
// machine that got another seed?
var errPlanted = errors.New("this machine was planted already: its seed is " + sealedSeed)

// Plant looks for a seed until there is one that is valid and fits this machine, or
// takes the one that is named; it seals it, applies it and starts
// banyan-firstboot.service. The sealing is the moment of planting: what comes after it
// the next boot would do as well.
func Plant(ctx context.Context, named source.Named) error {
	if done, err := isPlanted(); done || err != nil {
		if err == nil && named.At == "" {
			return nil // the unit that looks for any seed was started once more
		}
		return errors.Join(err, errPlanted)
	}
	find := await
	if named.At != "" {
		find = func(ctx context.Context) (*seeds.Found, []seeds.Outcome, error) { return take(ctx, named) }
	}
	found, outcomes, err := find(ctx)
	if err != nil || found == nil {
		return err
	}
	log.Printf("planting %s of %s", found.File, found.Place.Source)
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := isPlanted(); done || err != nil { // by another, who was first
		return errors.Join(err, errPlanted)
	}
	f, err := gatherFacts()
	if err != nil {
		return err
	}
	if err := seal(found); err != nil {
		return err
	}
	n, err := compute(*found, f)
	if err != nil {
		return err
	}
	r := newReporter()
	r.about(n)
	r.report.Sources = outcomes
	limited, cancel := context.WithTimeoutCause(ctx, plantTime, fmt.Errorf("not done after %v", plantTime))
	defer cancel()
	_, applied := r.apply(limited, n.desired)
	// What could not be applied is tried again, and reported, by the unit that runs at every boot.
	_, err = command.Run(ctx, "systemctl", "start", "--no-block", runUnit)
	return errors.Join(applied, err)
}

// take reads the seed that a person named, and looks nowhere else but for its key.
func take(ctx context.Context, named source.Named) (*seeds.Found, []seeds.Outcome, error) {
	if !named.IsURL() {
		path, err := filepath.Abs(named.At)
		if err != nil {
			return nil, nil, err
		}
		named.At = path
	}
	f, err := gatherFacts()
	if err != nil {
		return nil, nil, err
	}
	s, err := search("", f)
	if err != nil {
		return nil, nil, err
	}
	all, err := places(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	fetcher := &source.Fetcher{Signed: s.Key != nil, Patience: patience}
	place := source.Machine{Root: "/", Fetch: fetcher.Fetch}.Place(ctx, named)
	all = append([]seeds.Place{place}, all...)
	found, err := s.Look(all, 0)
	if errors.Is(err, seeds.ErrLocked) {
		answer, asking := questionHere()
		if asking != nil {
			return nil, nil, asking
		}
		if answer != nil {
			s.Identities = append(s.Identities, answer)
			found, err = s.Look(all, 0)
		}
	}
	if found == nil {
		return nil, nil, fmt.Errorf("%s: %w", place.Source, err)
	}
	return found, []seeds.Outcome{{Source: place.Source, Found: true}}, nil
}

// show puts text on every console, now and above the login prompt. A console
// that does not show it keeps nothing from its work.
func show(ctx context.Context, text string) {
	if err := errors.Join(console.Announce(text), console.Greet(ctx, status.Screen(text))); err != nil {
		log.Printf("a console does not show the summary: %v", err)
	}
}
