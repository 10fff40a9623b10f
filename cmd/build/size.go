package main

import (
	"errors"
	"strconv"
	"strings"
)

// size is the value of a flag: a number of bytes with a suffix of K, M, G or T,
// which are powers of 1024 as qemu-img(1) has them.
type size int64

const units = "KMGT"

func (s *size) Set(text string) error {
	number, shift := text, 0
	if i := strings.LastIndexAny(text, units); i >= 0 && i == len(text)-1 {
		number, shift = text[:i], 10*(1+strings.IndexByte(units, text[i]))
	}
	n, err := strconv.ParseUint(number, 10, 63-shift)
	if err != nil || n == 0 {
		return errors.New("expected a size such as 40G")
	}
	*s = size(n << shift)
	return nil
}

func (s *size) String() string {
	n, unit := int64(*s), ""
	for i := range units {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, units[i:i+1]
	}
	if n == 0 {
		return "" // pflag takes it for no default
	}
	return strconv.FormatInt(n, 10) + unit
}

func (s *size) Type() string { return "size" }
