package keyring

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A secret from anywhere is well formed, mistyped or neither, and its mask gives away no more than ten characters.
func FuzzSecret(f *testing.F) {
	f.Add("sk-tn-0123456789abcdefghijABCDEFGHIJ0123456789abc")
	f.Add("sk-lf-8f14e45f-ceea-467f-a8f3-1c2d3e4f5a6b")
	f.Add("sk-")
	f.Add("")
	f.Fuzz(func(t *testing.T, secret string) {
		if WellFormed(secret) && Mistyped(secret) {
			t.Error("well formed and mistyped")
		}
		shown := utf8.RuneCountInString(strings.Replace(Mask(secret), "...", "", 1))
		if shown > 10 || shown > 0 && 2*shown > utf8.RuneCountInString(secret) {
			t.Errorf("the mask shows %d characters: %q", shown, Mask(secret))
		}
	})
}
