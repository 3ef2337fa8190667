package accesslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const (
	// StreamName is the stream that holds the records.
	StreamName = "TENURE_ACCESS"
	// Subjects are those of that stream: tenure.access.<organization>.<kind>.<whose>. Nobody but Tenure needs permission to publish
	// on them.
	Subjects = subjectPrefix + ">"
	// noOrg stands for the organization of what names none. It is no id.
	noOrg = "~"

	subjectPrefix = "tenure.access."
	// perSubject is how many records are kept of one organization, kind and side. The oldest go first, so that whoever makes many
	// pushes out no others: an outsider not those of the organization's own people, reads not refusals, a tenant not its neighbour's.
	perSubject = 100_000

	// sameWithin is how long the stream knows the ids of records, so that one is not stored twice.
	sameWithin = 2 * time.Minute

	// DefaultMaxAge and DefaultMaxBytes bound the whole of it.
	DefaultMaxAge   = 90 * 24 * time.Hour
	DefaultMaxBytes = 1 << 30
)

// subject is where a record belongs.
func subject(a *eventv1.AccessRecord) string {
	org, whose := a.OrgId, "foreign"
	if org == "" {
		org = noOrg
	}
	if a.Own {
		whose = "own"
	}
	return subjectPrefix + org + "." + kindName(a.Kind) + "." + whose
}

func kindName(k eventv1.AccessRecord_Kind) string {
	if k == eventv1.AccessRecord_KIND_READ {
		return "read"
	}
	return "denied"
}

// streamConfig is how the stream is created. A single server flushes it when it likes; the copies of a cluster are as many disks.
func (c Config) streamConfig() jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:              StreamName,
		Description:       "Tenure: who was refused, and who read what is sensitive; beside the log, and not for ever",
		Subjects:          []string{Subjects},
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxAge:            c.MaxAge,
		MaxBytes:          c.MaxBytes,
		MaxMsgsPerSubject: c.perSubject,
		Duplicates:        min(sameWithin, c.MaxAge),
		DenyDelete:        true,
		DenyPurge:         true,
		AllowDirect:       true,
		Replicas:          max(c.Replicas, 1),
	}
	if s.Replicas == 1 {
		s.PersistMode = jetstream.AsyncPersistMode
	}
	return s
}

// ensureStream creates the stream, or gives the one that is there the limits of this server's settings. Several servers may do so at
// once; it is done again later if it fails.
func (c Config) ensureStream(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, StreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, c.streamConfig())
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		stream, err = js.Stream(ctx, StreamName)
	}
	if err != nil {
		return err
	}
	want, have := c.streamConfig(), stream.CachedInfo().Config
	if have.Storage != want.Storage || have.Retention != want.Retention {
		return fmt.Errorf("stream %s was made by somebody else; delete it", StreamName)
	}
	changed := have
	changed.MaxAge, changed.Duplicates, changed.MaxBytes = want.MaxAge, want.Duplicates, want.MaxBytes
	changed.MaxMsgsPerSubject, changed.AllowDirect = want.MaxMsgsPerSubject, want.AllowDirect
	if changed.MaxAge == have.MaxAge && changed.Duplicates == have.Duplicates && changed.MaxBytes == have.MaxBytes &&
		changed.MaxMsgsPerSubject == have.MaxMsgsPerSubject && changed.AllowDirect == have.AllowDirect {
		return nil
	}
	_, err = js.UpdateStream(ctx, changed)
	return err
}
