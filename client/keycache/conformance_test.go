package keycache

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const conformanceFile = "../../examples/testdata/keycache.json"

var update = flag.Bool("update", false, "write "+conformanceFile+" anew")

// conformance is a key with all it is judged by, as in Redis, and what it is answered. Times are of whole milliseconds.
type conformance struct {
	Key      json.RawMessage   `json:"key"`
	User     json.RawMessage   `json:"user,omitempty"`
	Projects []json.RawMessage `json:"projects,omitempty"`
	Orgs     []json.RawMessage `json:"orgs,omitempty"`
	Uses     []conformanceUse  `json:"uses"`
}

type conformanceUse struct {
	Environment string            `json:"environment"`
	From        string            `json:"from"` // "" is no address
	At          time.Time         `json:"at"`
	Answer      conformanceAnswer `json:"answer"`
}

type conformanceAnswer struct {
	Valid       bool     `json:"valid"`
	Reason      string   `json:"reason"`
	KeyID       string   `json:"key_id"`
	ProjectID   string   `json:"project_id"`
	OrgID       string   `json:"org_id"`
	UserID      string   `json:"user_id"`
	PlanID      string   `json:"plan_id"`
	DataPlaneID string   `json:"data_plane_id"`
	Environment string   `json:"environment"`
	Permissions []string `json:"permissions"`
}

func conformanceOf(a Answer) conformanceAnswer {
	return conformanceAnswer{
		a.Valid, a.Reason, a.KeyID, a.ProjectID, a.OrgID, a.UserID, a.PlanID, a.DataPlaneID, a.Environment, append([]string{}, a.Permissions...),
	}
}

// The cases by which other implementations are tested are true of this one. -update makes them anew of what Tenure judges in random logs:
// some of each reason and of each kind of key. Fails if an answer in the file is changed by hand: tried.
func TestConformance(t *testing.T) {
	if *update {
		writeConformance(t)
	}
	text, err := os.ReadFile(conformanceFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases []conformance
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, c := range cases {
		a := answer{position: 1, key: &tenurev1.KeyEntry{}}
		read := func(text json.RawMessage, m proto.Message) {
			if err := protojson.Unmarshal(text, m); err != nil {
				t.Fatal(err)
			}
		}
		if read(c.Key, a.key); c.User != nil {
			a.user = &tenurev1.UserEntry{}
			read(c.User, a.user)
		}
		for _, text := range c.Projects {
			a.projects = append(a.projects, &tenurev1.ProjectEntry{})
			read(text, a.projects[len(a.projects)-1])
		}
		for _, text := range c.Orgs {
			a.orgs = append(a.orgs, &tenurev1.OrgEntry{})
			read(text, a.orgs[len(a.orgs)-1])
		}
		key, _ := newTable(0).load(a)
		for _, u := range c.Uses {
			from, _ := netip.ParseAddr(u.From)
			got, known := key.judge(u.Environment, from, u.At)
			want, _ := json.Marshal(u.Answer)
			if text, _ := json.Marshal(conformanceOf(got)); !known || string(text) != string(want) {
				t.Errorf("case %d, %q from %q at %s: %s, wanted %s", i, u.Environment, u.From, u.At, text, want)
			}
			seen[u.Answer.Reason]++
		}
	}
	for _, reason := range []string{
		Valid, "KEY_REVOKED", KeyExpired, "USER_DEACTIVATED", "ORG_SUSPENDED", "PROJECT_DELETED", NetworkNotAllowed, WrongEnvironment,
	} {
		if seen[reason] == 0 {
			t.Errorf("no case is about %s", reason)
		}
	}
	t.Log(len(cases), seen)
}

func writeConformance(t *testing.T) {
	var cases []conformance
	taken := map[string]int{}
	entry := func(m proto.Message) json.RawMessage {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, states := range histories(t) {
		for _, s := range states[1:] {
			at := moments(s)
			for _, k := range s.Keys().All() {
				a := answerOf(s, k)
				c := conformance{Key: entry(a.key)}
				for range 6 {
					environment, from := usesOf(k)
					now := at[rand.IntN(len(at))].Truncate(time.Millisecond).UTC()
					got := conformanceOf(verified(s, k, environment, from, now))
					kind := got.Reason
					if got.UserID != "" {
						kind += " user"
					} else if got.ProjectID != "" {
						kind += " project"
					}
					if taken[kind] >= 10 {
						continue
					}
					taken[kind]++
					use := conformanceUse{environment, "", now, got}
					if from.IsValid() {
						use.From = from.String()
					}
					c.Uses = append(c.Uses, use)
				}
				if len(c.Uses) == 0 {
					continue
				}
				if a.user != nil {
					c.User = entry(a.user)
				}
				for _, p := range a.projects {
					c.Projects = append(c.Projects, entry(p))
				}
				for _, o := range a.orgs {
					c.Orgs = append(c.Orgs, entry(o))
				}
				cases = append(cases, c)
			}
		}
	}
	text, err := json.MarshalIndent(cases, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("../../examples/testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conformanceFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
