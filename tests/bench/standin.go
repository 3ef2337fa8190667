package main

import (
	"fmt"
	"testing"
)

// standIn stands in for a test, for servers that are made for tests.
type standIn struct {
	testing.TB
	cleanups []func()
}

func (t *standIn) Helper()           {}
func (t *standIn) Cleanup(f func())  { t.cleanups = append(t.cleanups, f) }
func (t *standIn) TempDir() string   { return tempDir() }
func (t *standIn) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
func (t *standIn) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func (t *standIn) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
