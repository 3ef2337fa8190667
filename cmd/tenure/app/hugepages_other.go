//go:build !linux

package app

// UseHugePages does nothing here: only Linux is asked.
func UseHugePages(bool) (bytes uint64) { return 0 }
