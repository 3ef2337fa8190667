package tests

import "os"

// soak is short in `make test`, and long in `make soak`, which sets TENURE_SOAK.
func soak[T any](short, long T) T {
	if os.Getenv("TENURE_SOAK") != "" {
		return long
	}
	return short
}
