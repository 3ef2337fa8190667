package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tenurehq/tenure/internal/sealing"
)

// eraser destroys the keys of erased people on every server that reads of their erasure, at start as well: the server that
// took the command may have died before it could. Destroying twice is harmless.
type eraser struct {
	vault  *sealing.Vault
	logger *slog.Logger

	mu      sync.Mutex
	waiting []string
	wake    chan struct{}

	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newEraser(vault *sealing.Vault, logger *slog.Logger) *eraser {
	ctx, cancel := context.WithCancel(context.Background())
	e := &eraser{vault: vault, logger: logger, wake: make(chan struct{}, 1), cancel: cancel}
	e.done.Go(func() { e.run(ctx) })
	return e
}

// erase makes this server unable to read the person's data at once, and everybody soon.
func (e *eraser) erase(subject string) {
	e.vault.Forget(subject)
	e.mu.Lock()
	e.waiting = append(e.waiting, subject)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *eraser) run(ctx context.Context) {
	for {
		e.mu.Lock()
		batch := e.waiting
		e.waiting = nil
		e.mu.Unlock()
		for i, subject := range batch {
			if err := e.vault.Destroy(ctx, subject); err != nil {
				if ctx.Err() != nil {
					return
				}
				e.logger.Error("the key of an erased person's data is not destroyed yet, trying again", "subject", subject, "error", err)
				e.mu.Lock()
				e.waiting = append(e.waiting, batch[i:]...)
				e.mu.Unlock()
				break
			}
		}
		e.mu.Lock()
		left := len(e.waiting) > 0
		e.mu.Unlock()
		retry := time.NewTimer(time.Second)
		if !left {
			retry.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-retry.C:
		}
		retry.Stop()
	}
}

func (e *eraser) close() error {
	e.cancel()
	e.done.Wait()
	return nil
}
