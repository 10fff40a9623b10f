package main

import "testing"

func TestTables(t *testing.T) {
	const lines = `goos: linux
goarch: amd64
pkg: banyan/seeds
BenchmarkParse-2   	    8142	    143906 ns/op
PASS
ok  	banyan/seeds	1.325s
BenchmarkImage/cold-2         	       1	         0.5 s/archives	        45.60 s/base-tree	       402.1 MiB/image	        91.20 s/total
BenchmarkImage/packages-at-hand
BenchmarkImage/packages-at-hand-2 	       1	        44.70 s/base-tree	       402.1 MiB/image	        81.00 s/total
BenchmarkImage/mmdebstrap-and-mksquashfs-2 	       1	        60.00 s/mmdebstrap	        99.00 s/total
--- BENCH: BenchmarkImage
PASS
BenchmarkBoot 	       1	        81.20 ms/noop	        52.00 s/first-ready
`
	const want = `
| Parse |  |
| --- | ---: |
| ns/op | 143906 |

| Image | cold | packages at hand | mmdebstrap and mksquashfs |
| --- | ---: | ---: | ---: |
| archives, s | 0.5 |  |  |
| base tree, s | 45.60 | 44.70 |  |
| image, MiB | 402.1 | 402.1 |  |
| total, s | 91.20 | 81.00 | 99.00 |
| mmdebstrap, s |  |  | 60.00 |

| Boot |  |
| --- | ---: |
| noop, ms | 81.20 |
| first ready, s | 52.00 |
`
	if got := tables(lines); got != want {
		t.Errorf("got:\n%s", got)
	}
}
