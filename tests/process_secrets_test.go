package tests

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// A server with the secrets of another installation would verify no key and open no personal data. It does not start, and
// says which file is wrong; with the right files everything is as it was.
//
// With fits answering nil, the server starts with them: tried.
func TestProcessSecretsOfAnotherInstallation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	key := processKey(t, api)
	p.stop(t, syscall.SIGTERM)
	for _, row := range []struct {
		flag  string
		words []string
	}{
		{"--pepper-file", []string{"pepper", "does not fit the log", "use the file of the servers"}},
		{"--sealing-key-file", []string{"sealing key", "does not fit the log", "use the file of the servers"}},
	} {
		other := filepath.Join(t.TempDir(), "other")
		processSecretFile(t, other, nil)
		p := processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", row.flag, other)
		p.refused(t, row.words...)
	}
	if err := os.Chmod(filepath.Join(dir, "pepper"), 0o644); err != nil {
		t.Fatal(err)
	}
	processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0").
		refused(t, "pepper", "chmod 600")
	if err := os.Chmod(filepath.Join(dir, "pepper"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = processServe(t, dir)
	processWantKey(t, processClient(t, p.url, processAdmin), key)
}

// A pepper is replaced by a new line above the old one: old keys go on working, new ones need the new pepper, and without
// the old line the server says which keys stand in the way.
//
// With NewVerifier using the last pepper, the new key does not outlive the old pepper: tried.
func TestProcessPepperRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := processServe(t, dir)
	api := processClient(t, p.url, processAdmin)
	old := processKey(t, api)
	p.stop(t, syscall.SIGTERM)

	file := filepath.Join(dir, "pepper")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second := processSecretFile(t, file, first)
	p = processServe(t, dir)
	api = processClient(t, p.url, processAdmin)
	processWantKey(t, api, old)
	fresh := processKey(t, api)
	processWantKey(t, api, fresh)
	p.stop(t, syscall.SIGTERM)

	// The old line is gone too early, then not any more needed.
	if err := os.WriteFile(file, second, 0o600); err != nil {
		t.Fatal(err)
	}
	early := processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	early.refused(t, old.Key.Id, "second line")
	processSecretFileBoth(t, file, second, first)
	p = processServe(t, dir)
	api = processClient(t, p.url, processAdmin)
	if _, err := api.keys.RevokeKey(processContext(t), &tenurev1.RevokeKeyRequest{KeyId: old.Key.Id}); err != nil {
		t.Fatal(err)
	}
	p.stop(t, syscall.SIGTERM)

	if err := os.WriteFile(file, second, 0o600); err != nil {
		t.Fatal(err)
	}
	p = processServe(t, dir)
	processWantKey(t, processClient(t, p.url, processAdmin), fresh)
	p.stop(t, syscall.SIGTERM)

	// The old pepper alone no longer fits: new keys would not verify.
	if err := os.WriteFile(file, first, 0o600); err != nil {
		t.Fatal(err)
	}
	processRun(t, []string{"TENURE_ADMIN_KEY=" + processAdmin}, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0").
		refused(t, "pepper", "does not fit the log")
}

// processSecretFile writes a new line of 64 hexadecimal digits in front of what is there, and returns that line.
func processSecretFile(t *testing.T, path string, behind []byte) []byte {
	t.Helper()
	var key [32]byte
	rand.Read(key[:])
	line := append(hex.AppendEncode(nil, key[:]), '\n')
	processSecretFileBoth(t, path, line, behind)
	return line
}

func processSecretFileBoth(t *testing.T, path string, first, second []byte) {
	t.Helper()
	if err := os.WriteFile(path, bytes.Join([][]byte{first, second}, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

// processKey makes a key of a new organization.
func processKey(t *testing.T, api *processAPI) *tenurev1.CreateKeyResponse {
	t.Helper()
	ctx := processContext(t)
	org, err := api.orgs.CreateOrg(ctx, &tenurev1.CreateOrgRequest{Name: "keyholders"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := api.keys.CreateKey(ctx, &tenurev1.CreateKeyRequest{OrgId: org.Org.Id})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// processWantKey wants a key to be good by both parts, and by the secret alone.
func processWantKey(t *testing.T, api *processAPI, key *tenurev1.CreateKeyResponse) {
	t.Helper()
	for _, public := range []string{key.Key.PublicKey, ""} {
		res, err := api.keys.VerifyKey(processContext(t), &tenurev1.VerifyKeyRequest{PublicKey: public, Secret: key.Secret})
		if err != nil || !res.Valid || res.KeyId != key.Key.Id {
			t.Errorf("key %s, public part %q: %v, %v", key.Key.Id, public, res, err)
		}
	}
}
