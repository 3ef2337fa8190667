package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tiny shows that every measurement still runs.
var tiny = sizes{
	orgs: 30, membersPerOrg: 20, orgsPerPerson: 2, projectsPerOrg: 2, keysPerProject: 5, replayed: 900, audited: 900,
	round: 15 * time.Millisecond, rounds: 1,
}

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		serve(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// All groups measure something. Whether bars are met is not for a test: it shares the machine with others.
func TestEveryMeasurementWorks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table.json")
	if err := run(tiny, "", file, ""); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got table
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Machine == "" {
		t.Error("nothing is said of the machine")
	}
	rows, withBar := map[string]int{}, 0
	for _, r := range got.Rows {
		rows[r.Group]++
		if r.Bar != "" {
			withBar++
		}
		// The bar of allocations is none at all, and the race detector makes some.
		if !(r.Figure > 0) && r.Unit != "allocations" || math.IsInf(r.Figure, 0) {
			t.Errorf("%s: %s: figure %v", r.Group, r.What, r.Figure)
		}
		if r.FloorIs != "" && !(r.Floor > 0) {
			t.Errorf("%s: %s: floor %v", r.Group, r.What, r.Floor)
		}
	}
	for _, g := range groups {
		if rows[g.name] == 0 {
			t.Errorf("group %s has no rows", g.name)
		}
	}
	if withBar < 20 {
		t.Errorf("%d rows have a bar", withBar)
	}
}
