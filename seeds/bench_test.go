package seeds

import "testing"

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("seed.yaml", []byte(Example)); err != nil {
			b.Fatal(err)
		}
	}
}
