package flow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"time"

	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/seeds"
)

// elsewhereTime bounds the looking for a newer seed, on which nothing depends.
const elsewhereTime = time.Minute

// newest loads the sealed seed, or the newer one that takes its place. What lies
// elsewhere never keeps the node from its own seed.
func (r *reporter) newest(ctx context.Context) (planted, error) {
	n, err := load()
	if err != nil {
		return n, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, elsewhereTime, fmt.Errorf("not done after %v", elsewhereTime))
	defer cancel()
	next, err := r.elsewhere(limited, n)
	if err != nil {
		log.Printf("look for a newer seed: %v", err)
		r.report.Seed = "no newer one could be looked for: " + err.Error()
	}
	if next == nil {
		return n, nil
	}
	return *next, nil
}

// stagedPlace is where the newest seed is kept that was found before and not applied. On
// its own medium its secrets may be gone.
var stagedPlace = seeds.Place{Source: "staged seed", Read: func() (string, []byte, error) {
	data, err := os.ReadFile(stagedSeed)
	return stagedSeed, data, err
}}

// elsewhere looks at every place but the network for a seed that is newer than that of
// n. It stages one, or seals it and returns what it makes of this machine.
func (r *reporter) elsewhere(ctx context.Context, n planted) (*planted, error) {
	s, err := search(n.Node.Name, n.facts)
	if err != nil {
		return nil, err
	}
	all, err := places(ctx, nil)
	if err != nil {
		return nil, err
	}
	best, verdict, outcomes := newer(s, n.Found, append([]seeds.Place{stagedPlace}, all...))
	if _, err := os.Stat(stagedSeed); errors.Is(err, fs.ErrNotExist) {
		outcomes = outcomes[1:]
	}
	outcomes = append(outcomes, seeds.Outcome{Source: unsealed.Source, Found: true})
	r.report.Sources = outcomes
	switch {
	case best == nil:
		return nil, dropStaged(n.Found, n.facts)
	case verdict.Action == seeds.Apply:
		return r.replace(ctx, best, verdict)
	case best.Place.Source == stagedPlace.Source:
		r.report.Seed = verdict.Reason + " before, and kept: " + howToApply
		return nil, nil
	}
	if _, err := readSealed(stagedSeed, n.facts); err != nil && !errors.Is(err, errNoSeed) {
		return nil, fmt.Errorf("%s on %s, and %s is in its place, which this release cannot read: remove that: %w", verdict.Reason, best.Place.Source, stagedSeed, err)
	}
	if err := seeds.Seal(stagedSeed, best.Data); err != nil {
		return nil, err
	}
	r.report.Seed = verdict.Reason + " on " + best.Place.Source + ", and kept: " + howToApply
	return nil, nil
}

// newer is the seed in these places that is to take the place of the sealed one, or
// else to be kept: of several the newest. It also says what came of each place.
func newer(s seeds.Search, sealed seeds.Found, all []seeds.Place) (best *seeds.Found, verdict seeds.Verdict, outcomes []seeds.Outcome) {
	candidates := map[int]bool{}
	at := -1
	for i, p := range all {
		o := seeds.Outcome{Source: p.Source}
		found, err := s.Look(all, i)
		if err != nil {
			o.Reason = err.Error()
		}
		if found != nil {
			v := seeds.Judge(sealed, *found)
			o.Reason = v.Reason
			candidates[i] = v.Action != seeds.Leave
			if candidates[i] && (best == nil || comesFirst(v, *found, verdict, *best)) {
				best, verdict, at = found, v, i
			}
		}
		outcomes = append(outcomes, o)
	}
	for i := range outcomes {
		if candidates[i] && i != at {
			outcomes[i].Reason = "newer, and not taken: the seed of " + best.Place.Source + " comes first"
		}
	}
	return best, verdict, outcomes
}

// comesFirst tells whether a seed comes before the best so far: one that is applied
// before one that is kept, and then the one with the higher generation.
func comesFirst(v seeds.Verdict, found seeds.Found, bestVerdict seeds.Verdict, best seeds.Found) bool {
	if v.Action != bestVerdict.Action {
		return v.Action == seeds.Apply
	}
	return found.Seed.Cluster.Generation > best.Seed.Cluster.Generation
}

// howToApply is what a person does with a staged seed in this release.
const (
	applyStaged = "mv " + stagedSeed + " " + sealedSeed + " && systemctl restart banyan-firstboot"
	howToApply  = "to apply it, " + applyStaged
)

// dropStaged removes the staged seed once it is no newer than the sealed one. What this
// release cannot read another may have staged, and it stays.
func dropStaged(sealed seeds.Found, f facts.Facts) error {
	found, err := readSealed(stagedSeed, f)
	switch {
	case errors.Is(err, errNoSeed):
		return nil
	case err != nil:
		log.Printf("%s stays: %v", stagedSeed, err)
		return nil
	case seeds.Judge(sealed, found).Action != seeds.Leave:
		return nil
	}
	return durable.Remove(stagedSeed)
}

// replace seals a newer seed. Its node is the same, by its name.
func (r *reporter) replace(ctx context.Context, found *seeds.Found, v seeds.Verdict) (*planted, error) {
	f, err := gatherFacts()
	if err != nil {
		return nil, err
	}
	next, err := compute(*found, f)
	if err != nil {
		return nil, err
	}
	// Of the sealed seed nobody would know any more what is left of its secrets on the
	// BANYAN partition; and while they are taken off there, this one's may go with them.
	if err := seeds.Seal(stagedSeed, found.Data); err != nil {
		return nil, err
	}
	if err := redactOwnPartition(ctx, found.Node.Name); err != nil {
		return nil, err
	}
	if err := seal(found); err != nil {
		return nil, err
	}
	if err := dropStaged(*found, f); err != nil {
		return nil, err
	}
	r.report.Seed = v.Reason + "; it was found on " + found.Place.Source
	log.Print(r.report.Seed)
	return &next, nil
}
