package eventstore

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// serverLog passes on what the embedded server warns of, and remembers why it gave up: its start returns no error.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

func (s *serverLog) Warnf(format string, v ...any) {
	s.log.Warn("nats-server: " + fmt.Sprintf(format, v...))
}

func (s *serverLog) Errorf(format string, v ...any) {
	s.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}

func (s *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	s.fatal.Store(&why)
	s.log.Error("nats-server: " + why)
}

func (s *serverLog) Noticef(string, ...any) {}
func (s *serverLog) Debugf(string, ...any)  {}
func (s *serverLog) Tracef(string, ...any)  {}
