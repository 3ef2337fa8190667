package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Seen to fail, row by row, without the case of New it names.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	one := []Pepper{testPepper(1)}
	for name, c := range map[string]Config{
		"no brand":             {Peppers: one},
		"brand in capitals":    {Brand: "TN", Peppers: one},
		"brand with a dash":    {Brand: "t-n", Peppers: one},
		"long brand":           {Brand: strings.Repeat("x", 17), Peppers: one},
		"Langfuse's brand":     {Brand: "lf", Peppers: one},
		"unknown style":        {Style: "other", Brand: "tn", Peppers: one},
		"unknown scheme":       {Brand: "tn", Scheme: "bcrypt", Peppers: one},
		"no pepper":            {Brand: "tn"},
		"three peppers":        {Brand: "tn", Peppers: []Pepper{testPepper(1), testPepper(2), testPepper(3)}},
		"the same pepper":      {Brand: "tn", Peppers: []Pepper{testPepper(1), testPepper(1)}},
		"langfuse unsalted":    {Style: StyleLangfuse, Scheme: SchemeLangfuse, Peppers: one},
		"zero value of Config": {},
	} {
		if r, err := New(c); err == nil {
			t.Errorf("%s: got %v", name, r)
		}
	}
}

func TestLoadPeppers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pepper")
	first, created, err := LoadPeppers(path)
	if err != nil || !created || len(first) != 1 {
		t.Fatalf("%v, created %v, %v", first, created, err)
	}
	again, created, err := LoadPeppers(path)
	if err != nil || created || len(again) != 1 || again[0].ID() != first[0].ID() {
		t.Fatalf("%v, created %v, %v", again, created, err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(first[0].ID()) {
		t.Errorf("ID %q", first[0].ID())
	}
	// What the file's own comment says.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Repeat("ab", pepperSize)
	if err := os.WriteFile(path, append([]byte(newer+"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	both, _, err := LoadPeppers(path)
	if err != nil || len(both) != 2 || both[1].ID() != first[0].ID() || both[0].ID() == first[0].ID() {
		t.Fatalf("%v, %v", both, err)
	}
}

func TestPepperFileForms(t *testing.T) {
	t.Parallel()
	a, b, c := strings.Repeat("a1", 32), strings.Repeat("b2", 32), strings.Repeat("c3", 32)
	for text, want := range map[string]int{
		a:                                  1,
		"\n# old\n  " + a + "  \r\n\n" + b: 2,
		"":                                 0,
		"# only a comment\n":               0,
		a + "\n" + a:                       0,
		a + "\n" + b + "\n" + c:            0,
		a[1:]:                              0,
		a + "00":                           0,
		strings.Repeat("zz", 32):           0,
		a + " " + b:                        0,
	} {
		path := filepath.Join(t.TempDir(), "pepper")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := LoadPeppers(path)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), a[:8]) || strings.Contains(err.Error(), "'z'")) {
			t.Errorf("the error quotes the pepper: %v", err)
		}
	}
}

// Seen to fail with keyfile's mode check removed.
func TestPepperOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pepper")
	if _, _, err := LoadPeppers(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadPeppers(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("LoadPeppers = %v", err)
	}
}

// Seen to fail with the key as a plain field of Pepper, without Config.Format, and without the json tag of Salt.
func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	const salt = "grain-of-salt"
	p := testPepper(1)
	c := Config{Brand: "tn", Salt: salt, Peppers: []Pepper{p}}
	r := testRing(t, c)
	var out bytes.Buffer
	hidden := struct{ p Pepper }{p} // fmt cannot call methods on a private field
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		fmt.Fprintf(&out, strings.Repeat(verb+" ", 4), p, hidden, c, *r.salted)
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
		log.Info("x", "p", p, "hidden", hidden, "c", c, "r", r)
	}
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{
		salt, r.salted.suffix(), hex.EncodeToString([]byte(salt)), // the salt
		string(p.key()[:8]), hex.EncodeToString(p.key()[:8]), "98 98 98", "0x62, 0x62", // a pepper of the letter b
	} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed %q in %s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), p.ID()) {
		t.Error("not even the pepper's id is printed")
	}
}
