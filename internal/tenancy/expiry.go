package tenancy

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Expiry is when something ends; the zero time is never. In a file it is a time such as 2027-01-31T12:00:00Z, a day, or never.
type Expiry struct{ At time.Time }

const never = "never"

// UnmarshalYAML reads a time, a day or never.
func (e *Expiry) UnmarshalYAML(n *yaml.Node) error {
	if n.Value == never {
		e.At = time.Time{}
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, n.Value); err == nil && n.Kind == yaml.ScalarNode {
			e.At = at.UTC()
			return nil
		}
	}
	return fmt.Errorf("line %d: expires_at %q is neither a time such as 2027-01-31T12:00:00Z nor a day such as 2027-01-31 nor never", n.Line, n.Value)
}

// MarshalYAML writes what UnmarshalYAML reads.
func (e Expiry) MarshalYAML() (any, error) {
	if e.At.IsZero() {
		return never, nil
	}
	return e.At.UTC(), nil
}

func (e *Expiry) String() string {
	if e == nil || e.At.IsZero() {
		return never
	}
	return e.At.UTC().Format(time.RFC3339Nano)
}

// passed tells whether it has passed at a time.
func (e *Expiry) passed(now time.Time) bool {
	return e != nil && !e.At.IsZero() && !e.At.After(now)
}

// equal compares with an expiry that is there: an absent one is never.
func (e *Expiry) equal(other *Expiry) bool {
	var a, b time.Time
	if e != nil {
		a = e.At
	}
	if other != nil {
		b = other.At
	}
	return a.Equal(b)
}

func (e *Expiry) wire() *timestamppb.Timestamp {
	if e == nil || e.At.IsZero() {
		return nil
	}
	return timestamppb.New(e.At)
}

// expiryOf reads a time from the API; absent if it never ends.
func expiryOf(t *timestamppb.Timestamp) *Expiry {
	if t == nil {
		return nil
	}
	return &Expiry{t.AsTime()}
}
