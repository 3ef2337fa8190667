package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections/audit"
	"github.com/tenurehq/tenure/projections/feed"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	// SecretField is the name under which secrets are sealed.
	SecretField = "webhook_secret"
	// answerMost is how many bytes of an answer are read, so that the connection can be used again.
	answerMost = 4 << 10
)

// NewSecret makes a secret as receivers get it.
func NewSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// message is what is sent.
type message struct {
	id, eventType string
	at            time.Time // when it happened; zero for what is sent on demand
	body          []byte
}

// payload is the body of a message, by the Standard Webhooks specification.
type payload struct {
	Type      string          `json:"type"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

func newMessage(id, eventType string, at time.Time, data []byte) (message, error) {
	body, err := json.Marshal(payload{eventType, at.UTC().Format(time.RFC3339Nano), data})
	return message{id, eventType, at, body}, err
}

// messageOf reads a message of the feed, or one that is to be sent again.
func messageOf(header nats.Header, data []byte) (message, error) {
	if id := header.Get(idHeader); id != "" {
		return message{id: id, eventType: header.Get(typeHeader), body: data}, nil
	}
	id := header.Get(jetstream.MsgIDHeader)
	at, err := time.Parse(time.RFC3339Nano, header.Get("ce-time"))
	if err != nil || id == "" || header.Get(feed.PositionHeader) == "" {
		return message{}, errors.New("it was published by somebody else")
	}
	if header.Get("Content-Type") != "application/json" {
		record := &tenurev1.AuditRecord{}
		if err := proto.Unmarshal(data, record); err != nil {
			return message{}, err
		}
		if data, err = audit.JSON(record); err != nil {
			return message{}, err
		}
	}
	return newMessage(id, strings.TrimPrefix(header.Get("ce-type"), "tenure."), at, data)
}

// secrets are those that sign now, the newest first.
func (s *Sender) secrets(ctx context.Context, w *domain.Webhook, now time.Time) (list [][]byte, err error) {
	sealed := []string{w.Secret}
	if w.OldSecret != "" && now.Before(w.OldUntil) {
		sealed = append(sealed, w.OldSecret)
	}
	for _, data := range sealed {
		text, err := s.cfg.Open(ctx, &eventv1.Sealed{Subject: string(w.ID), Data: []byte(data)}, SecretField)
		if err != nil {
			return nil, err
		}
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, secretPrefix))
		if err != nil {
			return nil, err
		}
		list = append(list, secret)
	}
	return list, nil
}

// signatures are the value of the header webhook-signature.
func signatures(secrets [][]byte, id, timestamp string, body []byte) string {
	var list []string
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		_, _ = io.WriteString(mac, id+"."+timestamp+".")
		mac.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " ")
}

// send makes one attempt and tells what the receiver answered; an error says why there is no answer.
func (s *Sender) send(ctx context.Context, w *domain.Webhook, m message) (status int, err error) {
	now := time.Now()
	secrets, err := s.secrets(ctx, w, now)
	if err != nil {
		return 0, errors.Join(errSecret, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(m.body))
	if err != nil {
		return 0, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header["User-Agent"] = []string{"Tenure-Webhooks"}
	req.Header["Content-Type"] = []string{"application/json"}
	// In small letters, as the specification writes them.
	req.Header["webhook-id"] = []string{m.id}
	req.Header["webhook-timestamp"] = []string{timestamp}
	req.Header["webhook-signature"] = []string{signatures(secrets, m.id, timestamp, m.body)}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, answerMost)
	return res.StatusCode, nil
}

var errSecret = errors.New("the secret can't be read")

// reason says what went wrong without telling what a receiver could make a server find out about its own network.
func reason(status int, err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil && status/100 == 2:
		return ""
	case err == nil && status/100 == 3:
		return "redirects are not followed"
	case err == nil:
		return "not accepted"
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.Is(err, errSecret):
		return errSecret.Error()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		return "the name does not resolve"
	case errors.As(err, &certificate):
		return "the certificate is not good"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	}
	return "the connection broke"
}
