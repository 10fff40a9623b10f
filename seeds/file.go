package seeds

import (
	"fmt"
	"os"

	"banyan/internal/strict"
)

// ReadFile reads a seed, plain or encrypted, from a file or a pipe. What is larger than
// a seed may be is refused before it fills the memory.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := ReadText(f)
	if err == nil && len(data) > strict.MaxSize {
		err = fmt.Errorf("%s is larger than %d KiB: this is not a seed", name, strict.MaxSize>>10)
	}
	return data, err
}
