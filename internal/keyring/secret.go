package keyring

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
)

const (
	alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	// randomChars hold 256 random bits: 62^43 is just above 2^256.
	randomChars = 43
	// checkChars hold the 32 bits of a CRC.
	checkChars = 6
	// langfuseBrand is what Langfuse's own keys carry; they have no checksum.
	langfuseBrand = "lf"
	maxBrand      = 16
)

var suffixForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Generate makes a new key: its public part and its secret, with 256 random bits, or 122 in Langfuse's style. suffix ends
// the public part and must be unique, such as a ULID; Langfuse's style takes a random UUID instead.
func (r *Ring) Generate(suffix string) (public, secret string, err error) {
	if r.style == StyleLangfuse {
		return "pk-lf-" + newUUID(), "sk-lf-" + newUUID(), nil
	}
	if !suffixForm.MatchString(suffix) {
		return "", "", fmt.Errorf("suffix %q of a public key is not 1-64 characters of [A-Za-z0-9_-]", suffix)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails
	body := new(big.Int).SetBytes(random[:]).Text(62)
	secret = "sk-" + r.brand + "-" + strings.Repeat("0", randomChars-len(body)) + body
	return "pk-" + r.brand + "-" + suffix, secret + checksum(secret), nil
}

// WellFormed reports whether the text can be a generated secret at all, of any brand. Of Langfuse's keys (sk-lf-, a UUID) only
// the shape can be checked. It says nothing about secrets that an operator chose himself.
func WellFormed(secret string) bool {
	brand, body := parts(secret)
	if brand == langfuseBrand {
		return isUUID(body)
	}
	return isChecked(brand, body) && checks(secret)
}

// Mistyped reports whether the text has the shape of a generated secret and fails its checksum: it need not be looked up.
func Mistyped(secret string) bool {
	brand, body := parts(secret)
	return isChecked(brand, body) && !checks(secret)
}

// parts are the brand and the rest of a secret; "" if it is not of the form sk-<brand>-<rest>.
func parts(secret string) (brand, body string) {
	rest, ok := strings.CutPrefix(secret, "sk-")
	if !ok {
		return "", ""
	}
	brand, body, ok = strings.Cut(rest, "-")
	if !ok || !isBrand(brand) {
		return "", ""
	}
	return brand, body
}

// isChecked tells whether these are the parts of a secret that ends in a checksum.
func isChecked(brand, body string) bool {
	return brand != "" && brand != langfuseBrand && len(body) == randomChars+checkChars && isBase62(body)
}

func checks(secret string) bool {
	end := len(secret) - checkChars
	return secret[end:] == checksum(secret[:end])
}

// Mask is the form of a secret that may be shown: its first 6 and last 4 characters. A text so short that this would give
// much of it away is hidden altogether.
func Mask(secret string) string {
	const head, tail, least = 6, 4, 20
	runes := []rune(secret)
	if len(runes) < least {
		return "..."
	}
	return string(runes[:head]) + "..." + string(runes[len(runes)-tail:])
}

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	var out [checkChars]byte
	for i := range out {
		out[checkChars-1-i] = alphabet[sum%62]
		sum /= 62
	}
	return string(out[:])
}

func isBrand(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= maxBrand
}

func isBase62(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func newUUID() string {
	var u [16]byte
	rand.Read(u[:])         // never fails
	u[6] = u[6]&0x0f | 0x40 // version 4: random
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}
