package tests

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const apiSalt = "salt-of-the-langfuse-installation"

// apiSalted is the hash that a Langfuse installation with this salt keeps of a secret.
func apiSalted(secret string) string {
	salt := sha256.Sum256([]byte(apiSalt))
	sum := sha256.Sum256([]byte(secret + hex.EncodeToString(salt[:])))
	return hex.EncodeToString(sum[:])
}

func apiImported(key apiKey, project, scheme, hash string) *tenurev1.ImportKeyRequest {
	return &tenurev1.ImportKeyRequest{ProjectId: project, PublicKey: key.public, Scheme: scheme, Hash: hash, DisplaySecret: "sk-lf-...abcd"}
}

// A key of Langfuse's scheme goes on working as it is, with its public part and without, with all that it had. Seen to fail when
// findKey asks secrets without a public part for Tenure's form.
func TestAPIImportOfLangfuse(t *testing.T) {
	t.Parallel()
	s := apiStart(t, func(cfg *app.Config) { cfg.Salt = apiSalt })
	a, admin := s.tenant(t), s.admin()
	key := apiKey{public: "pk-lf-1234", secret: "sk-lf-5678-any-form"}
	req := apiImported(key, a.project, "langfuse", apiSalted(key.secret))
	made := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	req.Name, req.Note, req.CreatedAt, req.KeyId = "from Langfuse", "kept", timestamppb.New(made), "key-of-old"
	req.Permissions, req.AllowedNetworks = []string{"scores:CUD", "project:read"}, []string{"10.0.0.0/8"}
	got := apiOK[*tenurev1.ImportKeyResponse](t, admin, req).Key
	want := &tenurev1.Key{
		Id: "key-of-old", PublicKey: key.public, DisplaySecret: req.DisplaySecret, Name: req.Name, Note: req.Note, ProjectId: a.project, OrgId: a.org,
		Permissions: []string{"project:read", "scores:CUD"}, AllowedNetworks: req.AllowedNetworks, Status: tenurev1.KeyStatus_KEY_STATUS_ACTIVE,
		CreatedAt: req.CreatedAt, CreatedBy: "instance",
	}
	if !proto.Equal(got, want) {
		t.Errorf("imported %v, want %v", got, want)
	}
	for _, ask := range []*tenurev1.VerifyKeyRequest{{PublicKey: key.public, Secret: key.secret, Ip: "10.1.2.3"}, {Secret: key.secret, Ip: "10.1.2.3"}} {
		if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), ask); !v.Valid || v.KeyId != got.Id || len(v.Permissions) != 2 {
			t.Errorf("VerifyKey: %v", v)
		}
	}
	for name, c := range map[string]apiCaller{"basic": s.basic(key.public, key.secret), "bearer": s.bearer(key.secret)} {
		if who := apiOK[*tenurev1.WhoAmIResponse](t, c.from("10.1.2.3"), &tenurev1.WhoAmIRequest{}); who.KeyId != got.Id || who.Method != name {
			t.Errorf("%s: %v", name, who)
		}
		apiRefused(t, c.from("192.0.2.1"), &tenurev1.WhoAmIRequest{}, connect.CodeUnauthenticated, domain.NetworkNotAllowed)
	}
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.anonymous(), &tenurev1.VerifyKeyRequest{PublicKey: key.public, Secret: key.secret + "x"}); v.Reason != "KEY_UNKNOWN" {
		t.Errorf("wrong secret: %v", v)
	}
	// It moves with its project as any key does, and is there after a restart.
	b := s.tenant(t)
	apiOK[*tenurev1.TransferProjectResponse](t, admin, &tenurev1.TransferProjectRequest{ProjectId: a.project, TargetOrgId: b.org})
	s.stop(t)
	again := apiStart(t, func(cfg *app.Config) { cfg.DataDir, cfg.Salt = s.dir, apiSalt })
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, again.anonymous(), &tenurev1.VerifyKeyRequest{Secret: key.secret, Ip: "10.1.2.3"}); !v.Valid || v.OrgId != b.org {
		t.Errorf("after the restart: %v", v)
	}
}

// A bcrypt hash is verified once, by the public part alone, and replaced by a quick verifier when the secret was right; by then
// the secret alone is enough. Seen to fail when findKey does not rehash.
func TestAPIImportOfBcryptIsRehashed(t *testing.T) {
	t.Parallel()
	s, other, _ := apiPair(t)
	a := s.tenant(t)
	key := apiKey{public: "pk-lf-slow", secret: "sk-lf-slow-secret"}
	hash, err := bcrypt.GenerateFromPassword([]byte(key.secret), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	key.id = apiOK[*tenurev1.ImportKeyResponse](t, s.admin(), apiImported(key, a.project, "bcrypt", string(hash))).Key.Id
	scheme := func(want string) {
		t.Helper()
		if k, _ := s.Engine.State().Key(domain.KeyID(key.id)); k.Scheme != want {
			t.Errorf("the key is verified by %s, want %s", k.Scheme, want)
		}
	}
	verify := func(s *apiServer, public, secret string) *tenurev1.VerifyKeyResponse {
		return apiOK[*tenurev1.VerifyKeyResponse](t, s.admin(), &tenurev1.VerifyKeyRequest{PublicKey: public, Secret: secret})
	}
	apiRefused(t, s.bearer(key.secret), &tenurev1.WhoAmIRequest{}, connect.CodeUnauthenticated, domain.Unauthenticated)
	if v := verify(s, "", key.secret); v.Valid {
		t.Errorf("without its public part: %v", v)
	}
	if v := verify(s, key.public, "sk-lf-wrong"); v.Reason != "KEY_UNKNOWN" {
		t.Errorf("wrong secret: %v", v)
	}
	scheme("bcrypt")
	if who := apiOK[*tenurev1.WhoAmIResponse](t, s.basic(key.public, key.secret), &tenurev1.WhoAmIRequest{}); who.KeyId != key.id {
		t.Errorf("first use: %v", who)
	}
	scheme("hmac")
	rehashed := s.mark()
	if v := verify(s, key.public, key.secret); !v.Valid {
		t.Errorf("second use: %v", v)
	}
	if who := apiOK[*tenurev1.WhoAmIResponse](t, s.bearer(key.secret), &tenurev1.WhoAmIRequest{}); who.KeyId != key.id {
		t.Errorf("the secret alone: %v", who)
	}
	rehashed.unchanged(t, s)
	latest := other.admin().with("Tenure-Consistency", "leader_latest")
	if v := apiOK[*tenurev1.VerifyKeyResponse](t, latest, &tenurev1.VerifyKeyRequest{PublicKey: key.public, Secret: key.secret}); !v.Valid {
		t.Errorf("on the other server: %v", v)
	}
	k := apiOK[*tenurev1.GetKeyResponse](t, s.bearer(a.owner.key.secret), &tenurev1.GetKeyRequest{KeyId: key.id}).Key
	if k.PublicKey != key.public || k.DisplaySecret != "sk-lf-...abcd" {
		t.Errorf("after the rehash: %v", k)
	}
	s.logLacks(t, key.secret)
}

// Guesses at an imported key are few, also when many come at once, and its right secret waits with them; other keys and public
// parts that nobody has are not held up. Seen to fail when verify counts guesses only before it waits its turn: more are then
// looked at.
func TestAPIImportGuessesAreFew(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	for _, public := range []string{"pk-lf-guessed", "pk-lf-quiet"} {
		key := apiKey{public: public, secret: "sk-of-" + public}
		apiOK[*tenurev1.ImportKeyResponse](t, s.admin(), apiImported(key, a.project, "bcrypt", apiBcrypt(key.secret)))
	}
	var looked, throttled atomic.Int64
	var guessers sync.WaitGroup
	for i := range 40 {
		guess := &tenurev1.VerifyKeyRequest{PublicKey: "pk-lf-guessed", Secret: fmt.Sprint("guess ", i)}
		guessers.Go(func() {
			// The caller vouches for its requests: it is the key that is throttled.
			res, _, err := s.bearer(a.orgKey.secret).call(t.Context(), guess)
			switch e := apiErrorOf(err); {
			case err == nil && res.(*tenurev1.VerifyKeyResponse).Reason == "KEY_UNKNOWN":
				looked.Add(1)
			case e.code == connect.CodeResourceExhausted && e.reason == "THROTTLED":
				throttled.Add(1)
			default:
				t.Errorf("guess %d: %v, %v", i, res, err)
			}
		})
	}
	guessers.Wait()
	if n := looked.Load(); n < 5 || n > 6 || n+throttled.Load() != 40 {
		t.Errorf("%d guesses were looked at and %d throttled, want 5 or 6 and the rest", n, throttled.Load())
	}
	right := &tenurev1.VerifyKeyRequest{PublicKey: "pk-lf-guessed", Secret: "sk-of-pk-lf-guessed"}
	apiRefused(t, s.bearer(a.orgKey.secret), right, connect.CodeResourceExhausted, "THROTTLED")
	for range 20 {
		nobody := &tenurev1.VerifyKeyRequest{PublicKey: "pk-lf-nobody", Secret: "guess"}
		if v := apiOK[*tenurev1.VerifyKeyResponse](t, s.bearer(a.orgKey.secret), nobody); v.Reason != "KEY_UNKNOWN" {
			t.Errorf("nobody's key: %v", v)
		}
	}
	if who := apiOK[*tenurev1.WhoAmIResponse](t, s.basic("pk-lf-quiet", "sk-of-pk-lf-quiet"), &tenurev1.WhoAmIRequest{}); who.ProjectId != a.project {
		t.Errorf("the other imported key: %v", who)
	}
}

// What can't be imported, each with its reason; who may not import learns nothing of what this server can verify. Seen to fail when
// ImportKey looks at the scheme before it authorizes.
func TestAPIImportRefusals(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	a := s.tenant(t)
	first := apiImported(apiKey{public: "pk-lf-first"}, a.project, "bcrypt", apiBcrypt("first"))
	first.KeyId = "first"
	apiOK[*tenurev1.ImportKeyResponse](t, s.admin(), first)
	like := func(change func(*tenurev1.ImportKeyRequest)) *tenurev1.ImportKeyRequest {
		req := apiImported(apiKey{public: apiUnique("pk-lf")}, a.project, "bcrypt", apiBcrypt(apiUnique("secret")))
		change(req)
		return req
	}
	before := s.mark()
	for name, row := range map[string]struct {
		request *tenurev1.ImportKeyRequest
		code    connect.Code
		reason  domain.Reason
		field   string
	}{
		"id taken":        {like(func(r *tenurev1.ImportKeyRequest) { r.KeyId = "first" }), connect.CodeAlreadyExists, domain.IDTaken, ""},
		"public taken":    {like(func(r *tenurev1.ImportKeyRequest) { r.PublicKey = "pk-lf-first" }), connect.CodeAlreadyExists, domain.IDTaken, ""},
		"hash taken":      {like(func(r *tenurev1.ImportKeyRequest) { r.Hash = first.Hash }), connect.CodeAlreadyExists, domain.IDTaken, ""},
		"no salt":         {like(func(r *tenurev1.ImportKeyRequest) { r.Scheme, r.Hash = "langfuse", apiSalted("x") }), connect.CodeFailedPrecondition, domain.KeySchemeUnknown, ""},
		"no bcrypt":       {like(func(r *tenurev1.ImportKeyRequest) { r.Hash = apiSalted("x") }), connect.CodeInvalidArgument, domain.InvalidField, "hash"},
		"far too slow":    {like(func(r *tenurev1.ImportKeyRequest) { r.Hash = "$2a$15$" + first.Hash[7:] }), connect.CodeInvalidArgument, domain.InvalidField, "hash"},
		"unknown":         {like(func(r *tenurev1.ImportKeyRequest) { r.Permissions = []string{"all:things"} }), connect.CodeInvalidArgument, domain.UnknownPermission, "permissions"},
		"of the org":      {like(func(r *tenurev1.ImportKeyRequest) { r.Permissions = []string{"organization:delete"} }), connect.CodeInvalidArgument, domain.UnknownPermission, "permissions"},
		"environment":     {like(func(r *tenurev1.ImportKeyRequest) { r.Environments = []string{"nowhere"} }), connect.CodeInvalidArgument, domain.UnknownEnvironment, "environments"},
		"nobody's key":    {like(func(r *tenurev1.ImportKeyRequest) { r.ProjectId, r.UserId = "", apiNowhere.user }), connect.CodeNotFound, domain.UserNotFound, ""},
		"no such project": {like(func(r *tenurev1.ImportKeyRequest) { r.ProjectId = apiNowhere.project }), connect.CodeNotFound, domain.ProjectNotFound, ""},
	} {
		if e := apiRefused(t, s.admin(), row.request, row.code, row.reason); e.field != row.field {
			t.Errorf("%s: field %q, want %q", name, e.field, row.field)
		}
	}
	for _, scheme := range []string{"langfuse", "bcrypt"} {
		apiRefused(t, s.bearer(a.owner.key.secret), like(func(r *tenurev1.ImportKeyRequest) { r.Scheme, r.Hash = scheme, "x" }), connect.CodePermissionDenied, domain.PermissionDenied)
	}
	before.unchanged(t, s)
	// One that has expired is taken in for the record.
	old := like(func(r *tenurev1.ImportKeyRequest) { r.ExpiresAt = timestamppb.New(time.Now().Add(-time.Hour)) })
	if k := apiOK[*tenurev1.ImportKeyResponse](t, s.admin(), old).Key; k.Status != tenurev1.KeyStatus_KEY_STATUS_EXPIRED {
		t.Errorf("imported %v", k)
	}
}
