package seeds

import "banyan/internal/strict"

// Kind is what kind of document a seed is. Kind.Decode into a [Seed] is Parse without
// the rules across fields.
var Kind = strict.Kind{Noun: "seed", Version: Version, Quote: quote, Source: source}

// Parse reads a seed as a node takes it: it decodes data strictly, fills in the
// defaults and checks the rules across fields; all secrets have to be there. name
// is what the error calls the file. The error is a [strict.Problems] that lists all
// that is wrong with the seed; it holds no secret.
func Parse(name string, data []byte) (*Seed, error) {
	s, d := read(name, data)
	document{d}.checkComplete(*s)
	if err := d.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// ParseCluster is Parse for an operator's cluster file, which may lack what `build
// seed mint` makes. It also refuses what one of the images that the seed is for has
// not, and a time zone that no image has, and returns what is allowed and seldom meant.
func ParseCluster(name string, data []byte, images ...Image) (s *Seed, warnings strict.Problems, err error) {
	s, d := read(name, data)
	document{d}.checkImages(*s, images)
	if err := d.Err(); err != nil {
		return nil, nil, err
	}
	return s, d.Warnings(), nil
}

// read returns a seed and its document, which says whether it is one.
func read(name string, data []byte) (*Seed, *strict.Document) {
	var s Seed
	d := document{Kind.Decode(name, data, &s)}
	d.complete(&s)
	d.check(s)
	return &s, d.Document
}
