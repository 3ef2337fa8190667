// Package domain holds the rules of tenancy and nothing else: no I/O, no clock, no randomness, no goroutine. Time, ids,
// hashes and the actor come in as values.
//
// Decide turns a command into events or an error; Evolve folds events into the next State. Both are deterministic: the same
// log gives the same State on every server. A State never changes once it is made, so that any number of readers may hold
// one without a lock.
//
// One noun has one file: the entity, its commands with the rules in words above them, and how its events change the State.
package domain
