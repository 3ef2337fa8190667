package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one figure. Floor, Ratio and Bar are 0 or "" where there is none.
type row struct {
	Group, What string
	Figure      float64
	Unit        string
	Floor       float64
	FloorIs     string
	Ratio       float64
	Bar         string
	Missed      bool
	Note        string
}

// atLeast is a row whose figure must be so many times its floor.
func atLeast(r row, bar float64) row {
	r.Ratio = r.Figure / r.Floor
	r.Bar, r.Missed = fmt.Sprintf(">= %.2f", bar), !(r.Ratio >= bar)
	return r
}

// atMost is a row whose figure must not be more times its floor.
func atMost(r row, bar float64) row {
	r.Ratio = r.Figure / r.Floor
	r.Bar, r.Missed = fmt.Sprintf("<= %.2f", bar), !(r.Ratio <= bar)
	return r
}

// within is a row whose figure itself must not be more.
func within(r row, bar float64) row {
	r.Bar, r.Missed = fmt.Sprintf("<= %s %s", number(bar), r.Unit), !(r.Figure <= bar)
	if r.Floor > 0 {
		r.Ratio = r.Figure / r.Floor
	}
	return r
}

type table struct {
	Machine string
	Seconds float64
	Rows    []row
}

func (t *table) print(w io.Writer) {
	fmt.Fprintln(w, t.Machine)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "what\tfigure\tfloor\tratio\tbar\tverdict")
	group := ""
	missed := 0
	for _, r := range t.Rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(out, "\t\t\t\t\t\n%s\t\t\t\t\t\n", strings.ToUpper(group))
		}
		floor, ratio, verdict := "", "", ""
		if r.Floor > 0 {
			floor = fmt.Sprintf("%s %s (%s)", number(r.Floor), r.Unit, r.FloorIs)
		}
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Bar != "" {
			verdict = "met"
		}
		if r.Missed {
			verdict = "MISSED"
			missed++
		}
		if r.Note != "" {
			verdict = strings.TrimSpace(verdict + "  " + r.Note)
		}
		fmt.Fprintf(out, "%s\t%s %s\t%s\t%s\t%s\t%s\n", r.What, number(r.Figure), r.Unit, floor, ratio, r.Bar, verdict)
	}
	out.Flush()
	fmt.Fprintf(w, "\n%s\n%d bars missed, %.0f s\n", mix, missed, t.Seconds)
}

// mix says what the commands and questions are.
const mix = `Durable commands: a third each CreateKey, GrantRole and CreateProject, in organizations and for people taken at random, who
have neither name nor address to be opened for the answer.
Checks: a person taken at random, a project of one of their organizations, a permission that most roles hold.
State: roles by turns (ADMIN, 3 MEMBER, VIEWER), an override for every hundredth membership, a group of 5 in every third
organization. Client and server are one process and speak over loopback TCP, so both pay for each call.`

func (t *table) writeJSON(path string) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func number(f float64) string {
	switch {
	case f != 0 && math.Abs(f) < 10:
		return fmt.Sprintf("%.2f", f)
	case math.Abs(f) < 100:
		return fmt.Sprintf("%.1f", f)
	}
	// Thousands apart.
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// machine is what the figures depend on.
func machine() string {
	return fmt.Sprintf("%d cores, %s, %s, append and fsync of 400 bytes %s", runtime.GOMAXPROCS(0), cpuModel(), runtime.Version(), fsyncTime().Round(time.Microsecond))
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ":\t ")
		}
	}
	return runtime.GOARCH
}

// fsyncTime is the median of some appends.
func fsyncTime() time.Duration {
	f := must(os.CreateTemp("", "bench"))
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range 50 {
		began := time.Now()
		must(f.Write(make([]byte, 400)))
		check(f.Sync())
		took = append(took, time.Since(began))
	}
	return median(took)
}
