package app

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
)

const (
	hugePage = 2 << 20
	// advise lets the kernel use huge pages, collapse makes them at once (Linux 6.1): madvise(2).
	advise, collapse = syscall.MADV_HUGEPAGE, 25
	// Smaller memory is nearly all in the processor's tables of pages anyway.
	enoughForHugePages = 64 << 20
)

// UseHugePages asks the kernel to keep this program's memory in pages of 2 MiB where it is used: an answer looks into a dozen
// places of a large state, and with pages of 4 KiB most of them cost a walk through the page tables beside the look itself.
// now also moves what is there already. It reports how many bytes were asked for; a kernel that has no such pages, or is told
// not to use them, leaves all as it is.
func UseHugePages(now bool) (bytes uint64) {
	for _, m := range heapMappings() {
		if m.size() < enoughForHugePages || call(m, advise) != 0 {
			continue
		}
		bytes += m.size()
		if !now {
			continue
		}
		// One page at a time: the first that can't be moved, as it holds no memory, would end the whole.
		for at := (m.from + hugePage - 1) &^ (hugePage - 1); at+hugePage <= m.to; at += hugePage {
			if call(mapping{at, at + hugePage}, collapse) == syscall.ENOSYS {
				break
			}
		}
	}
	return bytes
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

func (m mapping) size() uint64 { return uint64(m.to - m.from) }

func call(m mapping, advice uintptr) syscall.Errno {
	_, _, err := syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, advice)
	return err
}

// heapMappings are the mappings of Go's heap: those without a gap around one that holds an object. Others, as the race
// detector's, are large and mostly without memory.
func heapMappings() []mapping {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	object := reflect.ValueOf(new([1 << 16]byte)).Pointer()
	var run []mapping
	found := false
	for line := range strings.Lines(string(text)) {
		var m mapping
		var access string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &access); err != nil {
			continue
		}
		if access != "rw-p" || len(run) > 0 && run[len(run)-1].to != m.from {
			if found {
				break
			}
			run = run[:0]
		}
		if access != "rw-p" {
			continue
		}
		run = append(run, m)
		found = found || m.from <= object && object < m.to
	}
	if !found {
		return nil
	}
	return run
}
