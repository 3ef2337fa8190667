package eventstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// StreamName is the stream that holds the log.
	StreamName = "TENURE_LOG"
	// Subject is the one subject of that stream. Nobody but Tenure needs permission to publish on it.
	Subject = "tenure.log"
)

// ErrStreamSettings is returned by Open when the stream exists with settings that could lose, change or hide commits.
var ErrStreamSettings = errors.New("stream " + StreamName + " has other settings than the log needs")

// streamConfig is how the log's stream is created.
func streamConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:         StreamName,
		Description:  "Tenure's log: one commit per message, never deleted",
		Subjects:     []string{Subject},
		Retention:    jetstream.LimitsPolicy,
		Storage:      jetstream.FileStorage,
		Discard:      jetstream.DiscardNew,
		MaxConsumers: -1,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxMsgSize:   -1,
		DenyDelete:   true,
		DenyPurge:    true,
		AllowDirect:  true,
		Replicas:     replicas,
	}
}

// checkStream returns an error wrapping ErrStreamSettings that names every setting in which have does not give the
// guarantees of streamConfig. What has no bearing on them may differ: replicas, placement, compression, description,
// metadata.
func checkStream(have jetstream.StreamConfig) error {
	want := streamConfig(have.Replicas)
	var wrong []string
	differs := func(setting string, have, want any) {
		if have != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, must be %v", setting, have, want))
		}
	}
	if !slices.Equal(have.Subjects, want.Subjects) {
		wrong = append(wrong, fmt.Sprintf("subjects are %q, must be %q", have.Subjects, want.Subjects))
	}
	// What is stored stays.
	differs("retention", have.Retention, want.Retention)
	differs("storage", have.Storage, want.Storage)
	differs("discard", have.Discard, want.Discard)
	differs("max_age", have.MaxAge, want.MaxAge)
	differs("max_msgs", limit(have.MaxMsgs), limit(want.MaxMsgs))
	differs("max_bytes", limit(have.MaxBytes), limit(want.MaxBytes))
	differs("max_msgs_per_subject", limit(have.MaxMsgsPerSubject), limit(want.MaxMsgsPerSubject))
	differs("deny_delete", have.DenyDelete, want.DenyDelete)
	differs("deny_purge", have.DenyPurge, want.DenyPurge)
	differs("allow_rollup_hdrs", have.AllowRollup, want.AllowRollup)
	differs("allow_msg_ttl", have.AllowMsgTTL, want.AllowMsgTTL)
	differs("persist_mode", have.PersistMode, want.PersistMode)
	// What is appended is what is stored, and is acknowledged.
	differs("max_msg_size", limit(have.MaxMsgSize), limit(want.MaxMsgSize))
	differs("no_ack", have.NoAck, want.NoAck)
	differs("sealed", have.Sealed, want.Sealed)
	differs("allow_msg_counter", have.AllowMsgCounter, want.AllowMsgCounter)
	differs("allow_msg_schedules", have.AllowMsgSchedules, want.AllowMsgSchedules)
	differs("subject_transform", have.SubjectTransform != nil, false)
	differs("mirror", have.Mirror != nil, false)
	differs("sources", len(have.Sources) > 0, false)
	// Batches of messages are not covered by the guard that Append relies on.
	differs("allow_atomic", have.AllowAtomicPublish, want.AllowAtomicPublish)
	differs("allow_batched", have.AllowBatchPublish, want.AllowBatchPublish)
	// Every position from 1 can be read, from any replica.
	differs("first_seq", max(have.FirstSeq, 1), uint64(1))
	differs("allow_direct", have.AllowDirect, want.AllowDirect)
	differs("max_consumers", limit(have.MaxConsumers), limit(want.MaxConsumers))
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrStreamSettings, strings.Join(wrong, "; "))
	}
	return nil
}

// limit names a limit as JetStream reads it: both 0 and -1 stand for none.
func limit[N int | int32 | int64](n N) string {
	if n <= 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}
