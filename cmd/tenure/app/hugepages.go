package app

import "time"

// As long as memory may grow before the kernel is asked again.
const hugePagesEvery = time.Minute

// keepHugePages uses huge pages for what is loaded, and for what is added until stop is called.
func (a *App) keepHugePages() (stop func() error) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(hugePagesEvery)
		defer ticker.Stop()
		for now := true; ; now = false {
			if n := UseHugePages(now); now && n > 0 {
				a.cfg.Logger.Debug("memory in huge pages", "bytes", n)
			}
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() error {
		close(done)
		<-ended
		return nil
	}
}
