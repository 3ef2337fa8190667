package keycache

import (
	"slices"
	"time"
)

// Reasons of answers. Those that are not here are Tenure's as well: see tenure.v1.VerifyKeyResponse.
const (
	Valid             = "VALID"
	KeyUnknown        = "KEY_UNKNOWN"
	KeyExpired        = "KEY_EXPIRED"
	NetworkNotAllowed = "NETWORK_NOT_ALLOWED"
	WrongEnvironment  = "WRONG_ENVIRONMENT"
)

// defaultEnvironment is the environment of who reports none.
const defaultEnvironment = "default"

// Answer is whether a key is good for what it is used for, and what for: the same as VerifyKey answers.
type Answer struct {
	Valid bool
	// Reason is Valid or why not.
	Reason string
	// What follows is empty if the key is unknown.
	KeyID, ProjectID, OrgID, UserID string
	// PlanID and DataPlaneID are the organization's.
	PlanID, DataPlaneID string
	// Environment is the one that was reported, or the default.
	Environment string
	// ExpiresAt is the zero time if the key never does.
	ExpiresAt time.Time
	// Permissions are sorted, and shared: they must not be changed. None, if it is not valid.
	Permissions []string
}

// Holds tells whether a valid key has a permission.
func (a Answer) Holds(permission string) bool {
	_, ok := slices.BinarySearch(a.Permissions, permission)
	return ok
}
