package tenancy

import (
	"context"
	"slices"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// planKeys plans the keys of one principal, such as a project by its name, the organization if holder is empty; principal fills
// it in. A preset is what a new
// key begins with: it changes none that is there.
func (p *orgPlanner) planKeys(kind, holder string, want, have Section[Key], principal func(*applier, *tenurev1.CreateKeyRequest)) {
	path, of := p.label, ""
	if holder != "" {
		path, of = p.label+"/"+holder, " of "+kind+" "+holder
	}
	for _, w := range want {
		what := "key " + w.Name + of
		same := slices.IndexFunc(have, func(h Key) bool { return h.Name == w.Name })
		switch {
		case w.ExpiresAt.passed(p.Now):
			p.note("the %s has expired by the file; it is neither made nor ended", what)
		case same < 0:
			p.createKey(path, what, w, principal)
		case have[same].unclear != "":
			p.mistake(true, "the %s can't be told which it is: %s", what, have[same].unclear)
		default:
			p.changeKey(what, w, have[same])
		}
	}
	if !p.Prune || want == nil {
		return
	}
	for _, h := range have {
		if slices.ContainsFunc(want, func(w Key) bool { return w.Name == h.Name }) {
			continue
		}
		if h.unclear != "" {
			p.planner.note("%s", h.unlisted(path))
			continue
		}
		p.add(Remove, "key "+h.Name+of, nil, stepRevokeKeys, func(ctx context.Context, a *applier) error {
			for _, id := range append([]string{h.id}, h.retiring...) {
				if _, err := a.keys.RevokeKey(ctx, &tenurev1.RevokeKeyRequest{KeyId: id}); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (p *orgPlanner) createKey(path, what string, w Key, principal func(*applier, *tenurev1.CreateKeyRequest)) {
	var f fields
	f.text("note", "", w.Note)
	preset := w.Preset
	if preset == "" && w.Permissions == nil {
		preset = "full"
	}
	f.text("preset", "", given(preset))
	f.list("permissions", nil, w.Permissions)
	f.list("environments", Section[string]{}, w.Environments)
	f.list("networks", Section[string]{}, w.AllowedNetworks)
	f.expiry("expires_at", nil, w.ExpiresAt)
	p.add(Create, what, f, stepKeys, func(ctx context.Context, a *applier) error {
		req := &tenurev1.CreateKeyRequest{
			Name: w.Name, Note: value(w.Note), Preset: w.Preset, Permissions: w.Permissions, Environments: w.Environments,
			AllowedNetworks: w.AllowedNetworks, ExpiresAt: w.ExpiresAt.wire(),
		}
		principal(a, req)
		res, err := a.keys.CreateKey(ctx, req)
		if err != nil {
			return err
		}
		return a.made(path+"/"+w.Name, res)
	})
}

func (p *orgPlanner) changeKey(what string, w, h Key) {
	var f fields
	note := f.text("note", value(h.Note), w.Note)
	permissions := f.list("permissions", h.Permissions, w.Permissions)
	environments := f.list("environments", h.Environments, w.Environments)
	networks := f.list("networks", h.AllowedNetworks, w.AllowedNetworks)
	expires := f.expiry("expires_at", h.ExpiresAt, w.ExpiresAt)
	if f == nil {
		return
	}
	p.add(Update, what, f, stepKeys, func(ctx context.Context, a *applier) error {
		req := &tenurev1.UpdateKeyRequest{KeyId: h.id}
		if note {
			req.Note = w.Note
		}
		if permissions {
			req.Permissions = w.Permissions
		}
		if environments {
			req.Environments, req.AllEnvironments = w.Environments, len(w.Environments) == 0
		}
		if networks {
			req.AllowedNetworks, req.AllNetworks = w.AllowedNetworks, len(w.AllowedNetworks) == 0
		}
		if expires {
			req.ExpiresAt, req.NeverExpires = w.ExpiresAt.wire(), w.ExpiresAt.At.IsZero()
		}
		_, err := a.keys.UpdateKey(ctx, req)
		return err
	})
}
