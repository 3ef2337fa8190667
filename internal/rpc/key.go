package rpc

import (
	"context"
	"errors"
	"net/netip"

	"github.com/oklog/ulid/v2"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/keyring"
	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// CreateKey makes a key and answers its secret, this once.
func (s *Server) CreateKey(ctx context.Context, req *tenurev1.CreateKeyRequest) (*tenurev1.CreateKeyResponse, error) {
	minted, secret, err := s.mint()
	if err != nil {
		return nil, err
	}
	networks, err := parseNetworks(req.AllowedNetworks)
	if err != nil {
		return nil, err
	}
	out, err := s.execute(ctx, req.Reason, domain.CreateKey{
		Minted: minted, Project: domain.ProjectID(req.ProjectId), Org: domain.OrgID(req.OrgId), User: domain.UserID(req.UserId),
		KeyName: req.Name, Note: req.Note, Permissions: req.Permissions, Preset: domain.Preset(req.Preset),
		Environments: req.Environments, Networks: networks, ExpiresAt: timeOf(req.ExpiresAt),
	})
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, alreadyShown(out.Events[0].KeyId)
	}
	return &tenurev1.CreateKeyResponse{Key: s.keyOf(out.State, minted.ID), Secret: secret, Token: token(out)}, nil
}

// alreadyShown: a secret is never shown twice.
func alreadyShown(id string) error {
	return domain.Errorf(domain.CodeExists, "SECRET_ALREADY_SHOWN",
		"this Idempotency-Key made key %s, whose secret was shown then; if it is lost, revoke that key and make another with a new Idempotency-Key", id)
}

// ImportKey takes in a key that was made elsewhere.
func (s *Server) ImportKey(ctx context.Context, req *tenurev1.ImportKeyRequest) (*tenurev1.ImportKeyResponse, error) {
	// What this server can verify is not told to those who may not call this.
	targets, err := callFrom(ctx).state.PrincipalTarget(domain.ProjectID(req.ProjectId), domain.OrgID(req.OrgId), domain.UserID(req.UserId))
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	if err := s.Ring.CheckImported(req.Scheme, req.Hash); errors.Is(err, keyring.ErrNoSalt) {
		return nil, domain.Errorf(domain.CodePrecondition, domain.KeySchemeUnknown, "%v", err)
	} else if err != nil {
		return nil, domain.Invalidf("hash", domain.InvalidField, "%v", err)
	}
	networks, err := parseNetworks(req.AllowedNetworks)
	if err != nil {
		return nil, err
	}
	id, _ := newID(req.KeyId, "key_")
	c := domain.ImportKey{
		Minted: domain.Minted{
			ID: domain.KeyID(id), Public: req.PublicKey, Display: req.DisplaySecret,
			Verifier: &eventv1.Verifier{Scheme: req.Scheme, Hash: []byte(req.Hash)},
		},
		Project: domain.ProjectID(req.ProjectId), Org: domain.OrgID(req.OrgId), User: domain.UserID(req.UserId), KeyName: req.Name, Note: req.Note,
		Permissions: req.Permissions, Environments: req.Environments, Networks: networks, ExpiresAt: timeOf(req.ExpiresAt), MadeAt: timeOf(req.CreatedAt),
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.ImportKeyResponse{Key: s.keyOf(out.State, domain.KeyID(out.Events[0].KeyId)), Token: token(out)}, nil
}

// GetKey answers one key.
func (s *Server) GetKey(ctx context.Context, req *tenurev1.GetKeyRequest) (*tenurev1.GetKeyResponse, error) {
	c := callFrom(ctx)
	id := domain.KeyID(req.KeyId)
	targets, err := c.state.KeyTarget(id)
	if err == nil {
		targets[0].Self = c.actor.Key == id
	}
	state, err := s.authorize(ctx, targets, err)
	if err != nil {
		return nil, err
	}
	key := s.keyOf(state, id)
	s.addUsage(ctx, key)
	return &tenurev1.GetKeyResponse{Key: key}, nil
}

// ListKeys answers the keys of a principal.
func (s *Server) ListKeys(ctx context.Context, req *tenurev1.ListKeysRequest) (*tenurev1.ListKeysResponse, error) {
	c := callFrom(ctx)
	project, org, user := domain.ProjectID(req.ProjectId), domain.OrgID(req.OrgId), domain.UserID(req.UserId)
	targets, err := c.state.PrincipalTarget(project, org, user)
	state, err := s.authorize(ctx, targets, err)
	if err != nil {
		return nil, err
	}
	ids := state.InstanceKeys()
	switch {
	case project != "":
		ids = targets[0].Place.Project.Keys
	case org != "":
		ids = targets[0].Place.Org.Keys
	case user != "":
		u, _ := state.User(user)
		ids = u.Keys
	}
	keys, next, err := page("keys", behind(ids, state.Key), req.PageSize, req.PageToken,
		func(id domain.KeyID, _ *domain.Key) (*tenurev1.Key, bool) { return s.keyOf(state, id), true })
	if err != nil {
		return nil, err
	}
	s.addUsage(ctx, keys...)
	return &tenurev1.ListKeysResponse{Keys: keys, NextPageToken: next}, nil
}

// UpdateKey changes a key's attributes.
func (s *Server) UpdateKey(ctx context.Context, req *tenurev1.UpdateKeyRequest) (*tenurev1.UpdateKeyResponse, error) {
	networks, err := parseNetworks(req.AllowedNetworks)
	if err != nil {
		return nil, err
	}
	c := domain.UpdateKey{
		ID: domain.KeyID(req.KeyId), KeyName: req.Name, Note: req.Note, Permissions: ifGiven(req.Permissions),
		Environments: ifGiven(req.Environments), Networks: ifGiven(networks),
	}
	if req.AllEnvironments {
		c.Environments = &[]string{}
	}
	if req.AllNetworks {
		c.Networks = &[]netip.Prefix{}
	}
	if req.ExpiresAt != nil || req.NeverExpires {
		at := timeOf(req.ExpiresAt)
		c.ExpiresAt = &at
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	return &tenurev1.UpdateKeyResponse{Key: s.keyOf(out.State, c.ID), Token: token(out)}, nil
}

// RotateKey gives a key a successor and answers its secret, this once.
func (s *Server) RotateKey(ctx context.Context, req *tenurev1.RotateKeyRequest) (*tenurev1.RotateKeyResponse, error) {
	minted, secret, err := s.mint()
	if err != nil {
		return nil, err
	}
	grace := domain.DefaultGrace
	if req.Grace != nil {
		grace = req.Grace.AsDuration()
	}
	out, err := s.execute(ctx, req.Reason, domain.RotateKey{ID: domain.KeyID(req.KeyId), Successor: minted, Grace: grace})
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, alreadyShown(out.Events[0].GetKeyRotated().GetSuccessorKeyId())
	}
	return &tenurev1.RotateKeyResponse{Key: s.keyOf(out.State, minted.ID), Secret: secret, Token: token(out)}, nil
}

// RevokeKey ends a key.
func (s *Server) RevokeKey(ctx context.Context, req *tenurev1.RevokeKeyRequest) (*tenurev1.RevokeKeyResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.RevokeKey{ID: domain.KeyID(req.KeyId)})
	if err != nil {
		return nil, err
	}
	return &tenurev1.RevokeKeyResponse{Key: s.keyOf(out.State, domain.KeyID(req.KeyId)), Token: token(out)}, nil
}

// VerifyKey says whether a secret is good now and what for.
func (s *Server) VerifyKey(ctx context.Context, req *tenurev1.VerifyKeyRequest) (*tenurev1.VerifyKeyResponse, error) {
	c := callFrom(ctx)
	// A caller with credentials vouches for its requests; from others, guesses are slowed down.
	stranger := c.actor.Kind == 0
	if stranger {
		if err := s.unthrottled(c); err != nil {
			return nil, err
		}
	}
	if err := s.Engine.Fresh(); err != nil {
		return nil, err
	}
	res := &tenurev1.VerifyKeyResponse{Token: c.token}
	k, ok, err := s.findKey(ctx, c.state, req.PublicKey, req.Secret, req.PublicKey != "")
	if err != nil {
		return nil, err
	}
	if !ok {
		if stranger {
			s.authenticationFailed(c)
		}
		res.Reason = string(domain.KeyUnknown)
		return res, nil
	}
	from, _ := netip.ParseAddr(req.Ip)
	reason := c.state.VerifyKey(k, req.Environment, from.Unmap(), c.now)
	res.Valid, res.Reason = reason == domain.KeyValid, string(reason)
	res.KeyId, res.ProjectId, res.OrgId, res.UserId = string(k.ID), string(k.Project), string(k.Org), string(k.User)
	if p, ok := c.state.Project(k.Project); ok {
		res.OrgId = string(p.Org)
	}
	if o, ok := c.state.Org(domain.OrgID(res.OrgId)); ok {
		res.PlanId, res.DataPlaneId = string(o.Plan), string(o.DataPlane)
	}
	res.ExpiresAt = timestamp(k.ExpiresAt)
	if res.Environment = req.Environment; res.Environment == "" {
		res.Environment = domain.DefaultEnvironment
	}
	if res.Valid {
		s.ReadModels.Usage.Used(string(k.ID), 1, c.now)
		res.Permissions = c.state.Catalog().Names(c.state.KeyPermissions(k, c.now))
	}
	return res, nil
}

// mint makes a fresh secret.
func (s *Server) mint() (domain.Minted, string, error) {
	id := ulid.Make().String()
	public, secret, err := s.Ring.Generate(id)
	if err != nil {
		return domain.Minted{}, "", err
	}
	return domain.Minted{ID: domain.KeyID("key_" + id), Public: public, Display: keyring.Mask(secret), Verifier: s.Ring.NewVerifier(secret)}, secret, nil
}

func parseNetworks(texts []string) (networks []netip.Prefix, err error) {
	for _, text := range texts {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil {
				addr = addr.Unmap().WithZone("")
				n = netip.PrefixFrom(addr, addr.BitLen())
			}
		}
		if err != nil {
			return nil, domain.Invalidf("allowed_networks", domain.InvalidField, "%q is neither an IP address nor a network in CIDR notation", text)
		}
		networks = append(networks, n.Masked())
	}
	return networks, nil
}

func (s *Server) keyOf(state *domain.State, id domain.KeyID) *tenurev1.Key {
	k, _ := state.Key(id)
	view := &tenurev1.Key{
		Id: string(k.ID), PublicKey: k.Public, DisplaySecret: k.Display, Name: k.Name, Note: k.Note,
		ProjectId: string(k.Project), OrgId: string(k.Org), UserId: string(k.User), Permissions: state.Catalog().Names(k.Permissions),
		Environments: k.Environments, ExpiresAt: timestamp(k.ExpiresAt), CreatedAt: timestamp(k.CreatedAt),
		CreatedBy: k.CreatedBy, RevokedAt: timestamp(k.RevokedAt), SuccessorKeyId: string(k.Successor),
		Status: tenurev1.KeyStatus_KEY_STATUS_ACTIVE,
	}
	for _, n := range k.Networks {
		view.AllowedNetworks = append(view.AllowedNetworks, n.String())
	}
	if p, ok := state.Project(k.Project); ok {
		view.OrgId = string(p.Org)
	}
	switch k.State(s.Engine.Now()) {
	case domain.KeyRevoked:
		view.Status = tenurev1.KeyStatus_KEY_STATUS_REVOKED
	case domain.KeyExpired:
		view.Status = tenurev1.KeyStatus_KEY_STATUS_EXPIRED
	}
	return view
}
