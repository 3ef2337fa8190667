package backup

import (
	"errors"
	"fmt"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/eventstore"
)

// chain checks messages one after the other and remembers what the log says about itself.
type chain struct {
	next   domain.Position
	parent domain.Hash
	// of the files that the log needs, and of the log
	pepper, sealingKey, logID string
}

// add checks the next message. One that this program does not know is in order if the chain is: a backup keeps bytes.
func (c *chain) add(at domain.Position, data []byte) error {
	if at != c.next {
		return fmt.Errorf("position %d comes where %d must come", at, c.next)
	}
	commit, err := eventstore.Decode(data, at, c.parent)
	if err != nil && !errors.Is(err, eventstore.ErrVoid) && !errors.Is(err, eventstore.ErrUnknown) {
		return err
	}
	for _, entry := range commit.GetEntries() {
		for _, e := range entry.Events {
			if created := e.GetInstanceCreated(); created != nil {
				c.logID, c.pepper, c.sealingKey = created.LogId, created.PepperId, created.SealingKeyId
			}
			if introduced := e.GetPepperIntroduced(); introduced != nil {
				c.pepper = introduced.NewPepperId
			}
		}
	}
	c.next, c.parent = at+1, eventstore.HashOf(data)
	return nil
}
