package tests

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/sealing"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// apiPair starts two servers on one log.
func apiPair(t *testing.T) (s, other *apiServer, conn *nats.Conn) {
	t.Helper()
	conn = apiBroker(t)
	s = apiStart(t, func(cfg *app.Config) { cfg.NATSURL = conn.ConnectedUrl() })
	other = apiStart(t, func(cfg *app.Config) {
		cfg.NATSURL = conn.ConnectedUrl()
		cfg.PepperFile, cfg.SealingKeyFile = filepath.Join(s.dir, "pepper"), filepath.Join(s.dir, "sealing-key")
	})
	return s, other, conn
}

// apiPersonalKeys are the subjects that have a key to seal under.
func apiPersonalKeys(t *testing.T, conn *nats.Conn) map[string]bool {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := js.KeyValue(t.Context(), sealing.BucketName)
	if err != nil {
		t.Fatal(err)
	}
	list, err := keys.ListKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for key := range list.Keys() {
		found[key] = true
	}
	return found
}

// apiVerdict asks Check, and answers in words: whether it is allowed, why, and the role.
func apiVerdict(t testing.TB, c apiCaller, req *tenurev1.CheckRequest) string {
	t.Helper()
	res := apiOK[*tenurev1.CheckResponse](t, c, req)
	return strings.TrimSpace(fmt.Sprintf("%t %s %s", res.Allowed, res.Reason, res.Role))
}

// apiIs fails the test unless the verdict is the one wanted.
func apiIs(t testing.TB, c apiCaller, req *tenurev1.CheckRequest, want string) {
	t.Helper()
	if got := apiVerdict(t, c, req); got != want {
		t.Errorf("%s%s%s may %s: %q, want %q", req.UserId, req.KeyId, req.OrgId+req.ProjectId, req.Permission, got, want)
	}
}

var (
	apiIDs   = regexp.MustCompile(`(org|prj|usr|key|inv|xfr|grp)_[0-9A-Z]{26}`)
	apiTimes = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	apiWords = regexp.MustCompile(`"(token|acceptToken)": *"[^"]+"`)
)

// apiText is an answer as JSON.
func apiText(t testing.TB, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	// protojson puts in spaces at random.
	return strings.ReplaceAll(string(text), ", ", ",")
}

// apiMasked is an answer without what differs from call to call: ids, times and tokens. Some more words can be masked.
func apiMasked(t testing.TB, m proto.Message, words ...string) string {
	t.Helper()
	text := apiWords.ReplaceAllString(apiText(t, m), `"$1":"..."`)
	text = apiTimes.ReplaceAllString(text, "<time>")
	for _, word := range words {
		text = strings.ReplaceAll(text, word, "<word>")
	}
	return strings.ReplaceAll(apiIDs.ReplaceAllString(text, "<$1>"), `": "`, `":"`)
}
