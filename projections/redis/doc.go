// Package redis keeps in Redis what services need to judge API keys by themselves, and tells them what changed.
//
// # Layout
//
// A name is <prefix>:{<p>}:<rest>: p is the partition, CRC-32 (IEEE) of the public key of a key, or of the id of anything else, modulo
// the number of partitions. All of a partition is in one slot of a cluster.
//
//	<prefix>:layout                hash    version ("1"), partitions, log (its id), epoch, generation
//	<prefix>:building              string  a lock, while a server builds all anew
//	<prefix>:{<p>}:meta            hash    how far the partition is
//	<prefix>:{<p>}:stream          stream  what changed
//	<prefix>:{<p>}:key:<public>    string  KeyEntry
//	<prefix>:{<p>}:project:<id>    string  ProjectEntry
//	<prefix>:{<p>}:org:<id>        string  OrgEntry
//	<prefix>:{<p>}:user:<id>       string  UserEntry
//
// An entry is the JSON of the message of that name in tenure/v1/invalidation.proto, with the field names of the proto, without
// fields that hold nothing, and with "version" in front of all others: {"version":"<position>-<n>","id":...}. The version is the change
// that made the entry so: the n-th of a position of the log. A key that was revoked is {"version":...,"id":...,"public_key":...,
// "reason":"KEY_REVOKED"} for 30 days and then gone. That an entry is not there says nothing: ask Tenure.
//
// meta has these fields:
//
//	epoch     the layout's, of all that was built at once. Who sees another one forgets everything.
//	position  of the log: up to there all is in the entries and in the stream. 0 while the partition is being built
//	hash      of the message at the position
//	last      id of the last entry of the stream, also if that was trimmed
//	as_of     milliseconds by this Redis server's clock: at that moment the log held nothing behind position. Absent: not known
//
// The stream's ids are versions too. The fields of its entries:
//
//	prev    id of the entry in front of this one, in this partition. Another one than the last one read: something was missed
//	scope   key, project, org, user, or instance: all entries are others, because what can be held changed
//	id      of what changed; not with instance
//	public  public key, of a key
//	entry   the entry, of projects and organizations
//
// A stream's entry and the entry it tells of change in one step. Entries are never older than what was read of the stream, but may be
// newer. Streams are trimmed behind ten minutes or 100,000 entries a partition.
//
// # How new it is
//
// Who reads stream, meta and TIME in one pipeline, begun at t0 by its own clock, has read all up to meta.last, and finds TIME - as_of =
// d, knows that no entry was another one at t0 - d. d is a difference of one clock with itself; neither a pause of the writer nor one of
// the reader can make it smaller.
//
// There is never a secret, nor what one is verified with, nor personal data in Redis.
package redis
