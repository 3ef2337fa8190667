// Package eventstore is the log: one JetStream stream whose every message is one commit, appended only behind the
// position it was decided on.
//
// A commit is turned into stored bytes and back by Encode and Decode; a Log appends and reads those bytes. The server
// behind a Log is either inside this process (StartEmbedded) or a cluster elsewhere (Connect).
//
// Positions are dense: 1, 2, 3 and so on. Readers rely on it, never on what a single server claims not to have: "not
// found" for a position proves nothing, because a replica may be behind. Only seeing a position settles what is there.
package eventstore
