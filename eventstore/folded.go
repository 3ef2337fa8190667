package eventstore

import "github.com/tenurehq/tenure/domain"

// Folded is a message with the states in front of it and behind it, which share nearly everything.
type Folded struct {
	Decoded
	// Before and After are nil for who does not want states.
	Before, After *domain.State
}
