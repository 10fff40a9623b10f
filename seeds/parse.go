package seeds

import "banyan/internal/strict"

// Parse reads a seed: it decodes data strictly, fills in the defaults and checks
// the rules across fields. name is what the error calls the file. The error is a
// [strict.Problems] that lists all that is wrong with the seed; it holds no secret.
func Parse(name string, data []byte) (*Seed, error) {
	s, d := read(name, data)
	if err := d.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// read returns a seed and its document, which says whether it is one.
func read(name string, data []byte) (*Seed, *strict.Document) {
	kind := strict.Kind{Noun: "seed", Version: Version, Quote: quote, Source: source}
	var s Seed
	d := kind.Decode(name, data, &s)
	document{d}.check(s)
	return &s, d
}
