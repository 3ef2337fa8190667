package rpc

import (
	"context"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/directory"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// RegisterUser answers the account of an e-mail, making it if there is none.
func (s *Server) RegisterUser(ctx context.Context, req *tenurev1.RegisterUserRequest) (*tenurev1.RegisterUserResponse, error) {
	// Nothing is sealed for those who may not call this.
	if _, err := s.authorize(ctx, nil, nil); err != nil {
		return nil, err
	}
	email := strings.ToLower(strings.TrimSpace(req.Email))
	id, chosen := newID(req.UserId, "usr_")
	c := domain.RegisterUser{ID: domain.UserID(id), Chosen: chosen, EmailDigest: s.Vault.Digest(email)}
	_, known := s.Engine.State().UserByEmail(c.EmailDigest)
	_, taken := s.Engine.State().User(c.ID)
	if !known && !taken {
		var err error
		if c.Email, err = s.seal(ctx, id, "email", email); err != nil {
			return nil, err
		}
		if c.FullName, err = s.seal(ctx, id, "name", req.Name); err != nil {
			return nil, err
		}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	u, found := out.State.UserByEmail(c.EmailDigest)
	if len(out.Events) > 0 {
		u, found = out.State.User(domain.UserID(out.Events[0].UserId))
	}
	if !found {
		return nil, domain.Errorf(domain.CodeAborted, "CONTENTION", "the account changed at the same time; try again")
	}
	if u.ID != c.ID && c.Email != nil && !chosen {
		// Somebody else was quicker: the key made for this id holds nothing.
		if err := s.Vault.Destroy(ctx, id); err != nil {
			s.Logger.Warn("a personal key without a person could not be removed", "error", err)
		}
	}
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.RegisterUserResponse{User: view, Token: token(out)}, err
}

// CreateServiceAccount makes a user without login.
func (s *Server) CreateServiceAccount(ctx context.Context, req *tenurev1.CreateServiceAccountRequest) (*tenurev1.CreateServiceAccountResponse, error) {
	id, chosen := newID(req.UserId, "usr_")
	c := domain.CreateServiceAccount{ID: domain.UserID(id), Chosen: chosen, Org: domain.OrgID(req.OrgId), Role: domain.Role(req.Role)}
	// Nothing is sealed for those who may not call this, or under what belongs to somebody else.
	state := callFrom(ctx).state
	targets, err := c.Targets(state)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	_, taken := s.Engine.State().User(c.ID)
	if !taken {
		if c.FullName, err = s.seal(ctx, id, "name", req.Name); err != nil {
			return nil, err
		}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if !chosen && (out.Repeated || cameToNothing(err)) {
		s.unseal(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	u, _ := out.State.User(domain.UserID(out.Events[0].UserId))
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.CreateServiceAccountResponse{User: view, Token: token(out)}, err
}

// LinkIdentity ties an account elsewhere to a person.
func (s *Server) LinkIdentity(ctx context.Context, req *tenurev1.LinkIdentityRequest) (*tenurev1.LinkIdentityResponse, error) {
	c := domain.LinkIdentity{ID: domain.UserID(req.UserId), Issuer: req.Issuer, Digest: s.identity(req.Issuer, req.Subject)}
	targets, err := c.Targets(callFrom(ctx).state)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	if u, ok := s.Engine.State().User(c.ID); ok && u.Status != domain.UserIsErased {
		if c.Subject, err = s.seal(ctx, req.UserId, "subject", req.Subject); err != nil {
			return nil, err
		}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	u, _ := out.State.User(c.ID)
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.LinkIdentityResponse{User: view, Token: token(out)}, err
}

// UnlinkIdentity ends the tie.
func (s *Server) UnlinkIdentity(ctx context.Context, req *tenurev1.UnlinkIdentityRequest) (*tenurev1.UnlinkIdentityResponse, error) {
	c := domain.UnlinkIdentity{ID: domain.UserID(req.UserId), Digest: s.identity(req.Issuer, req.Subject)}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	u, _ := out.State.User(c.ID)
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.UnlinkIdentityResponse{User: view, Token: token(out)}, err
}

// identity is the keyed digest that an account elsewhere is found by.
func (s *Server) identity(issuer, subject string) []byte {
	return s.Vault.Fingerprint([]byte("identity"), []byte(issuer), []byte(subject))
}

// GetUser answers one user.
func (s *Server) GetUser(ctx context.Context, req *tenurev1.GetUserRequest) (*tenurev1.GetUserResponse, error) {
	targets, err := callFrom(ctx).state.UserTarget(domain.UserID(req.UserId))
	state, err := s.authorize(ctx, targets, err)
	if err != nil {
		return nil, err
	}
	u, _ := state.User(domain.UserID(req.UserId))
	view, err := s.userView(ctx, state, u)
	return &tenurev1.GetUserResponse{User: view}, err
}

// ListUsers answers all users, or the one with an e-mail.
func (s *Server) ListUsers(ctx context.Context, req *tenurev1.ListUsersRequest) (*tenurev1.ListUsersResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	all := state.Users().Page
	if req.Email != "" || req.Identity != nil {
		u, ok := state.UserByEmail(s.Vault.Digest(req.Email))
		if req.Email == "" {
			u, ok = state.UserByIdentity(s.identity(req.Identity.Issuer, req.Identity.Subject))
		}
		all = func(domain.UserID) iter.Seq2[domain.UserID, *domain.User] {
			return func(yield func(domain.UserID, *domain.User) bool) {
				if ok {
					yield(u.ID, u)
				}
			}
		}
	}
	users, next, err := page("users", all, req.PageSize, req.PageToken,
		func(_ domain.UserID, u *domain.User) (*domain.User, bool) { return u, true })
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListUsersResponse{NextPageToken: next}
	for _, u := range users {
		view, err := s.userView(ctx, state, u)
		if err != nil {
			return nil, err
		}
		res.Users = append(res.Users, view)
	}
	return res, nil
}

// SearchUsers finds users of the instance by a part of their e-mail or name.
func (s *Server) SearchUsers(ctx context.Context, req *tenurev1.SearchUsersRequest) (*tenurev1.SearchUsersResponse, error) {
	state, err := s.authorize(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	after, err := cursor("search-users", req.PageToken)
	if err != nil {
		return nil, err
	}
	m, err := s.model(ctx, s.ReadModels.Directory)
	if err != nil {
		return nil, err
	}
	ids, err := directory.SearchUsers(ctx, m, req.Query, domain.UserID(after), pageSize(req.PageSize))
	if err != nil {
		return nil, readError(err)
	}
	res := &tenurev1.SearchUsersResponse{}
	for _, id := range ids {
		u, ok := state.User(id)
		if !ok || u.Status == domain.UserIsErased {
			continue // erased since
		}
		view, err := s.userView(ctx, state, u)
		if err != nil {
			return nil, err
		}
		res.Users = append(res.Users, view)
	}
	if len(ids) == pageSize(req.PageSize) {
		res.NextPageToken = pageToken("search-users", string(ids[len(ids)-1]))
	}
	return res, nil
}

// UpdateUser changes e-mail or name.
func (s *Server) UpdateUser(ctx context.Context, req *tenurev1.UpdateUserRequest) (*tenurev1.UpdateUserResponse, error) {
	c := domain.UpdateUser{ID: domain.UserID(req.UserId)}
	targets, err := c.Targets(callFrom(ctx).state)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	// The domain can't compare sealed names, so what is compared here must not be old.
	state, err := s.Engine.Await(ctx, engine.Consistency{Level: engine.LeaderLatest})
	if err != nil {
		return nil, err
	}
	u, _ := state.User(c.ID)
	if u.Status != domain.UserIsErased {
		if err := s.sealChanges(ctx, u, req, &c); err != nil {
			return nil, err
		}
	}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	u, _ = out.State.User(c.ID)
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.UpdateUserResponse{User: view, Token: token(out)}, err
}

// sealChanges seals what is new.
func (s *Server) sealChanges(ctx context.Context, u *domain.User, req *tenurev1.UpdateUserRequest, c *domain.UpdateUser) error {
	_, name, err := s.openUser(ctx, u)
	if err != nil {
		return err
	}
	if req.Email != nil {
		email := strings.ToLower(strings.TrimSpace(*req.Email))
		c.EmailDigest = s.Vault.Digest(email)
		if c.Email, err = s.seal(ctx, string(u.ID), "email", email); err != nil {
			return err
		}
	}
	if req.Name != nil && *req.Name != name {
		c.ClearName = *req.Name == ""
		c.FullName, err = s.seal(ctx, string(u.ID), "name", *req.Name)
	}
	return err
}

// DeactivateUser denies a person everything.
func (s *Server) DeactivateUser(ctx context.Context, req *tenurev1.DeactivateUserRequest) (*tenurev1.DeactivateUserResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.DeactivateUser{ID: domain.UserID(req.UserId)})
	if err != nil {
		return nil, err
	}
	u, _ := out.State.User(domain.UserID(req.UserId))
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.DeactivateUserResponse{User: view, Token: token(out)}, err
}

// ReactivateUser ends a deactivation.
func (s *Server) ReactivateUser(ctx context.Context, req *tenurev1.ReactivateUserRequest) (*tenurev1.ReactivateUserResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.ReactivateUser{ID: domain.UserID(req.UserId)})
	if err != nil {
		return nil, err
	}
	u, _ := out.State.User(domain.UserID(req.UserId))
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.ReactivateUserResponse{User: view, Token: token(out)}, err
}

// EraseUser ends an account and destroys the key of its personal data before it answers.
func (s *Server) EraseUser(ctx context.Context, req *tenurev1.EraseUserRequest) (*tenurev1.EraseUserResponse, error) {
	out, err := s.execute(ctx, req.Reason, domain.EraseUser{ID: domain.UserID(req.UserId)})
	if err != nil {
		return nil, err
	}
	subjects := []string{req.UserId}
	for _, e := range out.Events {
		// The person among them, and invitations that hold their address.
		subjects = out.State.ErasedBy(e)
	}
	for _, subject := range subjects {
		if err := s.Vault.Destroy(ctx, subject); err != nil {
			return nil, domain.Errorf(domain.CodeUnavailable, "SEALING_UNAVAILABLE",
				"the account is erased, but the key of its personal data could not be destroyed yet; repeat the call").Because(err)
		}
	}
	u, _ := out.State.User(domain.UserID(req.UserId))
	view, err := s.userView(ctx, out.State, u)
	return &tenurev1.EraseUserResponse{User: view, Token: token(out)}, err
}

func (s *Server) userView(ctx context.Context, state *domain.State, u *domain.User) (*tenurev1.User, error) {
	email, name, err := s.openUser(ctx, u)
	if err != nil {
		return nil, err
	}
	view := &tenurev1.User{
		Id: string(u.ID), Email: email, Name: name, Status: tenurev1.UserStatus(u.Status), ServiceOrgId: string(u.Home),
		CreatedAt: timestamppb.New(u.CreatedAt), UpdatedAt: timestamppb.New(u.UpdatedAt), InstanceAdmin: state.Admins().Has(u.ID),
	}
	for _, i := range u.Identities.All() {
		subject, err := s.open(ctx, i.Subject, "subject")
		if err != nil {
			return nil, err
		}
		view.Identities = append(view.Identities, &tenurev1.Identity{Issuer: i.Issuer, Subject: subject})
	}
	slices.SortFunc(view.Identities, func(a, b *tenurev1.Identity) int {
		return strings.Compare(a.Issuer+" "+a.Subject, b.Issuer+" "+b.Subject)
	})
	return view, nil
}
