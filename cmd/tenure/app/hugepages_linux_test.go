package app

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A heap of many megabytes is found among the mappings, and the kernel takes the advice where it has huge pages. Fails if another
// mapping is advised: tried with the first one of the file.
func TestHugePagesAreAskedForTheHeap(t *testing.T) {
	kernel, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || strings.Contains(string(kernel), "[never]") {
		t.Log("this kernel has no huge pages: the call must do nothing")
	}
	heap := make([]byte, 256<<20)
	for i := 0; i < len(heap); i += 4096 {
		heap[i] = 1
	}
	asked := UseHugePages(true)
	if err == nil && !strings.Contains(string(kernel), "[never]") && asked < uint64(len(heap)) {
		t.Errorf("huge pages were asked for %d bytes of %d", asked, len(heap))
	}
	for i := 0; i < len(heap); i += 4096 {
		if heap[i] != 1 {
			t.Fatalf("byte %d changed", i)
		}
	}
}
