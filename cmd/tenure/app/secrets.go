package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keyring"
	"github.com/tenurehq/tenure/internal/rpc"
)

// fits refuses secrets that do not belong to the log: keys would not verify, personal data would not open.
func (a *App) fits(ctx context.Context, peppers []keyring.Pepper, sealingKey string) error {
	s := a.Engine.State()
	if s.Instance.SealingKey != sealingKey {
		return fmt.Errorf("the sealing key %s does not fit the log, which was begun with %s: use the file of the servers that run on it", sealingKey, s.Instance.SealingKey)
	}
	var ids []string
	for _, p := range peppers {
		ids = append(ids, p.ID())
	}
	if !slices.Contains(ids, s.Instance.Pepper()) {
		return fmt.Errorf("the pepper %s does not fit the log, which uses %s: use the file of the servers that run on it", ids[0], s.Instance.Pepper())
	}
	for id, k := range s.Keys().All() {
		if k.Pepper != "" && k.State(a.Engine.Now()) == "" && !slices.Contains(ids, k.Pepper) {
			return fmt.Errorf("key %s was made with the pepper %s, which is not in the file: put it there as the second line until such keys are rotated", id, k.Pepper)
		}
	}
	if s.Instance.Pepper() == ids[0] {
		return nil
	}
	_, err := a.Engine.Execute(ctx, engine.Request{
		Command: domain.IntroducePepper{Pepper: ids[0]}, Rule: domain.Rule{Requirement: domain.Anyone},
		Actor: domain.Actor{Kind: domain.ActorSystem},
	})
	return err
}

const adminKeyFile = "admin-key.sha256"

// minAdminKey is the least length of a chosen admin key; it can be guessed at the throttle's rate from any address.
const minAdminKey = 20

// adminKey is the key that was configured, else the one made at the first start, of which only the hash is stored.
func (a *App) adminKey() (rpc.AdminKey, error) {
	if a.cfg.AdminKey != "" {
		if len(a.cfg.AdminKey) < minAdminKey {
			return rpc.AdminKey{}, fmt.Errorf("TENURE_ADMIN_KEY needs at least %d characters; `openssl rand -hex 32` makes a good one", minAdminKey)
		}
		return rpc.HashAdminKey(a.cfg.AdminKey), nil
	}
	path := a.cfg.file("", adminKeyFile)
	text, err := os.ReadFile(path)
	if err == nil {
		key, err := rpc.ParseAdminKey(string(text))
		if err != nil {
			return key, fmt.Errorf("%s: %w; set TENURE_ADMIN_KEY, or remove the file to have a new key made", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return rpc.AdminKey{}, err
	}
	a.NewAdminKey = "tenure-admin-" + rand.Text()
	return rpc.HashAdminKey(a.NewAdminKey), nil
}

// keepAdminKey stores the hash of a key made at this start. That comes last: after a start that failed nobody was shown the
// key, and the next start must make one.
func (a *App) keepAdminKey(key rpc.AdminKey) error {
	if a.NewAdminKey == "" {
		return nil
	}
	path := a.cfg.file("", adminKeyFile)
	// Written aside first: a file cut short by a crash would lock everybody out.
	if err := os.WriteFile(path+".new", []byte(key.String()+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
