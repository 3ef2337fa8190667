package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// watchEvery is how often the embedded server is asked whether a write failed.
	watchEvery = time.Second
	// roomWanted is how much a full disk must have free again before the server is started anew: the biggest message.
	roomWanted = defaultMaxPayload
)

// watch starts the server anew when its disk was full and has room again. The server stops writing for ever after the first
// write that failed; what it has can still be read, so the process goes on meanwhile. The connection finds the new server by
// itself, and to its users all that is as if the network had been away.
//
// Other failed writes are left alone: what a broken disk holds must not be opened for writing again.
func (e *Embedded) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	log, full, began := e.cfg.Logger, false, time.Time{}
	for {
		select {
		case <-e.ending:
			return
		case <-ticker.C:
		}
		err := e.Healthy()
		switch {
		case err == nil:
			full = false
		case !full && outOfSpace(err):
			full, began = true, time.Now()
			log.Error("the disk is full: nothing can be written until there is room again, reads go on", "error", err, "wanted", roomWanted)
		}
		if !full {
			continue
		}
		if err := e.room(); err != nil {
			log.Warn("the disk is still full", "error", err)
			continue
		}
		old := e.server.Load()
		old.Shutdown()
		old.WaitForShutdown()
		err = checkStore(e.cfg)
		if err == nil {
			err = e.startServer()
		}
		if err != nil {
			log.Error("the embedded server did not start again, trying once more", "error", err)
			continue
		}
		full = false
		log.Warn("the disk has room again, and the embedded server was started anew", "after", time.Since(began).Round(time.Millisecond))
	}
}

func outOfSpace(err error) bool {
	return strings.Contains(err.Error(), syscall.ENOSPC.Error()) || strings.Contains(err.Error(), syscall.EDQUOT.Error())
}

// room is an error unless the disk takes as much as is wanted.
func (e *Embedded) room() (err error) {
	f, err := os.Create(filepath.Join(e.cfg.Dir, "room"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, roomWanted)); err != nil {
		return fmt.Errorf("%d bytes are wanted: %w", roomWanted, err)
	}
	return f.Sync()
}
