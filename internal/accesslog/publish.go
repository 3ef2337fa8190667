package accesslog

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// message is the record as it is stored.
func (r Record) message() (*nats.Msg, error) {
	data, err := proto.Marshal(r.Stored)
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(subject(r.Stored))
	// Copies of one call in several organizations have one id.
	m.Header.Set(jetstream.MsgIDHeader, r.Stored.Id+"."+r.Stored.OrgId)
	m.Data = data
	return m, nil
}

// publish sends messages, those that are not nil, and tells which are stored; the error is why one is not. It waits for all answers
// together, and not by package jetstream, whose publisher of many at once leaves a goroutine behind when it is closed early.
func publish(ctx context.Context, conn *nats.Conn, messages []*nats.Msg) (stored []bool, err error) {
	stored = make([]bool, len(messages))
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox + ".*")
	if err != nil {
		return stored, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	wanted := 0
	for i, m := range messages {
		if m == nil {
			continue
		}
		m.Reply = inbox + "." + strconv.Itoa(i)
		if err := conn.PublishMsg(m); err != nil {
			return stored, err
		}
		wanted++
	}
	for ; wanted > 0; wanted-- {
		answer, lost := answers.NextMsgWithContext(ctx)
		if lost != nil {
			return stored, lost
		}
		i, bad := strconv.Atoi(strings.TrimPrefix(answer.Subject, inbox+"."))
		if bad != nil || i < 0 || i >= len(stored) {
			continue
		}
		if refused := refusal(answer); refused != nil {
			err = refused
		} else {
			stored[i] = true
		}
	}
	return stored, err
}

// refusal is why a message was not stored, nil if it was.
func refusal(answer *nats.Msg) error {
	if len(answer.Data) == 0 && answer.Header.Get("Status") == "503" {
		return nats.ErrNoResponders
	}
	var ack struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer.Data, &ack); {
	case err != nil:
		return fmt.Errorf("unreadable answer: %w", err)
	case ack.Error != nil:
		return ack.Error
	case ack.Stream != StreamName:
		return fmt.Errorf("stored in stream %q, not in %s", ack.Stream, StreamName)
	}
	return nil
}
