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
	best, verdict, outcomes := newer(s, n.Found, all)
	outcomes = append(outcomes, seeds.Outcome{Source: unsealed.Source, Found: true})
	r.report.Sources = outcomes
	switch {
	case best == nil:
		return nil, r.staged(n)
	case verdict.Action == seeds.Apply:
		return r.replace(best, verdict)
	}
	if err := seeds.Seal(stagedSeed, best.Data); err != nil {
		return nil, err
	}
	r.report.Seed = verdict.Reason + " on " + best.Place.Source + ", and kept: " + howToApply
	return nil, nil
}

// newer is the newest of the seeds in these places, if one of them is to take the
// place of the sealed one or to be kept, and what came of each place.
func newer(s seeds.Search, sealed seeds.Found, all []seeds.Place) (best *seeds.Found, verdict seeds.Verdict, outcomes []seeds.Outcome) {
	for i, p := range all {
		o := seeds.Outcome{Source: p.Source}
		found, err := s.Look(all, i)
		if err != nil {
			o.Reason = err.Error()
		}
		if found != nil {
			v := seeds.Judge(sealed, *found)
			o.Reason = v.Reason
			if v.Action != seeds.Leave && (best == nil || found.Seed.Cluster.Generation > best.Seed.Cluster.Generation) {
				best, verdict = found, v
			}
		}
		outcomes = append(outcomes, o)
	}
	return best, verdict, outcomes
}

// howToApply is what a person does with a staged seed in this release.
const howToApply = "to apply it, mv " + stagedSeed + " " + sealedSeed + " && systemctl restart banyan-firstboot"

// staged tells of a seed that was staged before, as long as it is newer.
func (r *reporter) staged(n planted) error {
	if _, err := os.Stat(stagedSeed); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found, err := readSealed(stagedSeed, n.facts)
	if err == nil {
		if v := seeds.Judge(n.Found, found); v.Action != seeds.Leave {
			r.report.Seed = v.Reason + " before, and kept: " + howToApply
			return nil
		}
	}
	return durable.Remove(stagedSeed)
}

// replace seals a newer seed. Its node is the same, by its name.
func (r *reporter) replace(found *seeds.Found, v seeds.Verdict) (*planted, error) {
	f, err := facts.Gather("/")
	if err != nil {
		return nil, err
	}
	next, err := compute(*found, f)
	if err != nil {
		return nil, err
	}
	if err := seal(found); err != nil {
		return nil, err
	}
	if err := durable.Remove(stagedSeed); err != nil {
		return nil, err
	}
	r.report.Seed = v.Reason + "; it was found on " + found.Place.Source
	log.Print(r.report.Seed)
	return &next, nil
}
