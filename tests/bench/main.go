// Command bench measures what Tenure claims, each figure beside its floor from the same run, and prints one table:
//
//	go run ./tests/bench [-run REGEXP] [-quick] [-json FILE] [-cpuprofile DIR]
//
// Absolute figures are those of the machine; the ratios are what the bars are about.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// sizes are how much of everything there is. quick is for seeing that all of it works.
type sizes struct {
	orgs, membersPerOrg, orgsPerPerson, projectsPerOrg, keysPerProject int
	replayed                                                           int // commits
	audited                                                            int // events in the audit log that pages are read of
	round                                                              time.Duration
	rounds                                                             int
}

var (
	full  = sizes{orgs: 1000, membersPerOrg: 1000, orgsPerPerson: 10, projectsPerOrg: 10, keysPerProject: 100, replayed: 1_000_000, audited: 1_000_000, round: 2 * time.Second, rounds: 3}
	quick = sizes{orgs: 20, membersPerOrg: 20, orgsPerPerson: 2, projectsPerOrg: 2, keysPerProject: 5, replayed: 3000, audited: 3000, round: 50 * time.Millisecond, rounds: 1}
)

// small is the state of a hundredth of the size.
func (s sizes) small() sizes {
	s.orgs = max(2, s.orgs/100)
	return s
}

// group is measurements that share what they set up.
type group struct {
	name string
	run  func(sizes) []row
}

var groups = []group{
	{"heap", heap},
	{"checks", checks},
	{"growth", growth},
	{"replay", replay},
	{"cluster", cluster},
	{"readmodels", readModels},
	{"redis", redisGroup},
	{"keycache", keycaches},
	// These share a server, which stays until the end and is large.
	{"durable", durable},
	{"api", api},
	{"readers", readers},
}

func main() {
	if os.Getenv(asService) != "" {
		serve(os.Stdin, os.Stdout)
		return
	}
	only := flag.String("run", "", "regular expression of the groups to run (default all)")
	small := flag.Bool("quick", false, "small sizes: shows that it works, not how fast")
	jsonFile := flag.String("json", "", "write the table here as well, as JSON")
	round := flag.Duration("round", 0, "how long a measurement lasts (default 2s, 50ms with -quick)")
	profiles := flag.String("profile", "", "write a CPU profile of each group into this directory")
	flag.Parse()
	s := full
	if *small {
		s = quick
	}
	if *round > 0 {
		s.round = *round
	}
	if err := run(s, *only, *jsonFile, *profiles); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s sizes, only, jsonFile, profiles string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	t := &table{Machine: machine()}
	defer cleanUp()
	began, finished := time.Now(), false
	defer func() {
		if !finished {
			t.print(os.Stdout) // what was measured before a group failed
		}
	}()
	for _, g := range groups {
		if !match.MatchString(g.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%6.0fs %s\n", time.Since(began).Seconds(), g.name)
		stop, err := profile(profiles, g.name)
		if err != nil {
			return err
		}
		rows := g.run(s)
		stop()
		for i := range rows {
			rows[i].Group = g.name
		}
		t.Rows = append(t.Rows, rows...)
		debug.FreeOSMemory()
	}
	finished = true
	t.Seconds = time.Since(began).Seconds()
	t.print(os.Stdout)
	if jsonFile == "" {
		return nil
	}
	return t.writeJSON(jsonFile)
}

func profile(dir, name string) (stop func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, name+".cpu"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

// must is for what can only fail if the harness is wrong.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		_, file, line, _ := runtime.Caller(2)
		panic(fmt.Sprintf("%s:%d: %v", filepath.Base(file), line, err))
	}
}
