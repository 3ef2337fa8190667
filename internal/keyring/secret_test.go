package keyring

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func testPepper(seed byte) Pepper {
	return newPepper([]byte(strings.Repeat(string(rune('a'+seed)), pepperSize)))
}

func testRing(t testing.TB, c Config) *Ring {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tenureRing(t testing.TB) *Ring {
	return testRing(t, Config{Brand: "tn", Peppers: []Pepper{testPepper(1)}})
}

func generate(t testing.TB, r *Ring) (public, secret string) {
	t.Helper()
	public, secret, err := r.Generate("01J8ZQ")
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

func TestGeneratedForms(t *testing.T) {
	t.Parallel()
	const uuid4 = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	for _, tc := range []struct {
		config         Config
		public, secret string
	}{
		{Config{Brand: "tn"}, `^pk-tn-01J8ZQ$`, `^sk-tn-[0-9A-Za-z]{49}$`},
		{Config{Brand: "0123456789abcdef"}, `^pk-0123456789abcdef-01J8ZQ$`, `^sk-0123456789abcdef-[0-9A-Za-z]{49}$`},
		{Config{Style: StyleLangfuse}, `^pk-lf-` + uuid4 + `$`, `^sk-lf-` + uuid4 + `$`},
	} {
		tc.config.Peppers = []Pepper{testPepper(1)}
		r := testRing(t, tc.config)
		seen := map[string]bool{}
		for range 200 {
			public, secret := generate(t, r)
			if !regexp.MustCompile(tc.public).MatchString(public) || !regexp.MustCompile(tc.secret).MatchString(secret) {
				t.Fatalf("generated %q, %q", public, secret)
			}
			if !WellFormed(secret) {
				t.Fatalf("%q is not well formed", secret)
			}
			if seen[secret] {
				t.Fatalf("%q came twice", secret)
			}
			seen[secret] = true
		}
	}
}

func TestGenerateRefusesSuffix(t *testing.T) {
	t.Parallel()
	r := tenureRing(t)
	for _, suffix := range []string{"", "a:b", "a b", "a\n", strings.Repeat("x", 65)} {
		if _, _, err := r.Generate(suffix); err == nil {
			t.Errorf("suffix %q accepted", suffix)
		}
	}
}

// Every single wrong character, at every place. Seen to fail with a checksum over only the random part (the brand's
// characters), and with five of six check characters compared.
func TestChecksumRefusesEverySubstitution(t *testing.T) {
	t.Parallel()
	_, secret := generate(t, tenureRing(t))
	tried := 0
	for i := range secret {
		for _, c := range []byte(alphabet + "-_ ") {
			if c == secret[i] {
				continue
			}
			tried++
			if wrong := secret[:i] + string(c) + secret[i+1:]; WellFormed(wrong) {
				t.Errorf("%q is well formed, %q was made", wrong, secret)
			}
		}
	}
	if want := 49*61 + 49*3; tried < want {
		t.Errorf("only %d substitutions tried, want at least %d", tried, want)
	}
}

func TestChecksumRefusesOtherSlips(t *testing.T) {
	t.Parallel()
	_, secret := generate(t, tenureRing(t))
	for i := range secret {
		for name, wrong := range map[string]string{
			"missing": secret[:i] + secret[i+1:],
			"doubled": secret[:i+1] + secret[i:],
			"cut":     secret[:i],
		} {
			if WellFormed(wrong) {
				t.Errorf("%s character %d: %q is well formed", name, i, wrong)
			}
		}
		if i > 0 && secret[i] != secret[i-1] {
			if swapped := secret[:i-1] + string(secret[i]) + string(secret[i-1]) + secret[i+1:]; WellFormed(swapped) {
				t.Errorf("swapped characters %d: %q is well formed", i, swapped)
			}
		}
	}
}

func TestWellFormed(t *testing.T) {
	t.Parallel()
	// Written out, computed by another program: keys in use must stay acceptable for ever.
	const golden = "sk-tn-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG2w4qqH"
	for text, want := range map[string]bool{
		golden:                  true,
		golden + "\n":           false,
		"x" + golden:            false,
		"pk" + golden[2:]:       false,
		strings.ToUpper(golden): false,
		"sk-lf-" + golden[6:]:   false,
		"":                      false,
		"sk-":                   false,
		"sk--":                  false,
		"sk-lf-":                false,
		"sk-lf-12345678-1234-4234-8234-123456789abc":  true,
		"sk-lf-12345678-1234-4234-8234-123456789ABC":  true,
		"sk-lf-12345678-1234-4234-8234-123456789abg":  false,
		"sk-lf-12345678-1234-4234-82341123456789abc":  false,
		"sk-lf-12345678-1234-4234-8234-123456789abcd": false,
		"sk-tn-12345678-1234-4234-8234-123456789abc":  false,
	} {
		if got := WellFormed(text); got != want {
			t.Errorf("WellFormed(%q) = %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if text := rapid.String().Draw(t, "text"); WellFormed(text) {
			t.Fatalf("%q is well formed", text)
		}
	})
}

func FuzzWellFormed(f *testing.F) {
	f.Add("sk-tn-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG2w4qqH")
	f.Add("sk-lf-12345678-1234-4234-8234-123456789abc")
	f.Fuzz(func(t *testing.T, text string) {
		if WellFormed(text) && len(Mask(text)) != 6+3+4 {
			t.Errorf("Mask(%q) = %q", text, Mask(text))
		}
	})
}

func TestMask(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"sk-lf-12345678-1234-4234-8234-123456789abc": "sk-lf-...9abc",
		"short-imported-one":                         "...",
		"":                                           "...",
		strings.Repeat("ä", 20):                      "ääääää...ääää",
	} {
		if got := Mask(secret); got != want {
			t.Errorf("Mask(%q) = %q, want %q", secret, got, want)
		}
	}
}
