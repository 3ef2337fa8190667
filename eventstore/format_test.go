package eventstore

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

func raisedTo(format uint32) *eventv1.Event {
	return &eventv1.Event{Body: &eventv1.Event_FormatRaised{FormatRaised: &eventv1.FormatRaised{Old: 1, New: format}}}
}

// Fails if newEvents misspells an event, or names one for a format that this build can't write: tried.
func TestFormatsOfNewEvents(t *testing.T) {
	t.Parallel()
	for name, format := range newEvents {
		if bodyOneof().Fields().ByName(name) == nil {
			t.Errorf("there is no event %s", name)
		}
		if format < 2 || format > Format {
			t.Errorf("%s is new with format %d, want one from 2 to %d", name, format, Format)
		}
	}
	if got := FormatOf(raisedTo(Format)); got != 1 {
		t.Errorf("a log needs format %d to be raised", got)
	}
}

// Every format from the first to this build's is written and read, and a log can be raised to each. Fails if Encode wants the
// newest: tried.
func TestFormatsOfCommits(t *testing.T) {
	t.Parallel()
	parent := HashOf(nil)
	for format := uint32(1); format <= Format; format++ {
		c := sample(7, parent)
		c.Format, c.Entries[0].Events[1] = format, raisedTo(format)
		got, err := Decode(mustEncode(t, c), 8, parent)
		if err != nil || got.Format != format {
			t.Errorf("format %d: %v", format, err)
		}
	}
}

// A log that is raised beyond this build stops its reader right there, by the number of the format. Fails if only formats of
// commits are looked at: tried.
func TestFormatRaisedBeyondStops(t *testing.T) {
	t.Parallel()
	parent := HashOf(nil)
	c := sample(7, parent)
	c.Entries[0].Events = append(c.Entries[0].Events, raisedTo(41))
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte(magic), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Decode(data, 8, parent)
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "position 8: ") || !strings.Contains(err.Error(), "format 41") {
		t.Errorf("got %v, want position 8 and format 41", err)
	}
}

// A snapshot of a later version whose State is the same would lead past the position where the log was raised. Fails without the
// question in load: tried.
func TestSnapshotOfAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	snapshots := NewSnapshots(SnapshotDir(t.TempDir()), []byte("key"))
	for format := range uint32(Format + 2) {
		good := format <= Format
		s := &domain.State{Position: domain.Position(format + 1), Instance: domain.Instance{LogID: "log", Format: format}}
		if err := snapshots.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		_, err := snapshots.Load(t.Context(), s.Position)
		if good && err != nil || !good && !errors.Is(err, ErrSnapshotSchema) {
			t.Errorf("format %d: %v", format, err)
		}
	}
}
