package rpc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// Invite invites an e-mail address.
func (s *Server) Invite(ctx context.Context, req *tenurev1.InviteRequest) (*tenurev1.InviteResponse, error) {
	id, _ := newID("", "inv_")
	accept, hash := newAcceptToken()
	email := strings.ToLower(strings.TrimSpace(req.Email))
	c := domain.Invite{
		ID: domain.InvitationID(id), Org: domain.OrgID(req.OrgId), Project: domain.ProjectID(req.ProjectId), EmailDigest: s.Vault.Digest(email),
		Role: domain.Role(req.Role), ProjectRole: domain.Role(req.ProjectRole), ExpiresAt: timeOf(req.ExpiresAt), TokenHash: hash,
	}
	// Nothing is sealed for those who may not call this.
	targets, err := c.Targets(callFrom(ctx).state)
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	if c.Email, err = s.seal(ctx, id, "email", email); err != nil {
		return nil, err
	}
	out, err := s.execute(ctx, req.Reason, c)
	if out.Repeated || cameToNothing(err) {
		s.unseal(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, alreadySent(out.Events[0].InvitationId)
	}
	view, err := s.invitationOf(ctx, out.State, c.ID)
	return &tenurev1.InviteResponse{Invitation: view, AcceptToken: accept, Token: token(out)}, err
}

// cameToNothing tells whether an error says that a command did not and will not happen.
func cameToNothing(err error) bool {
	known := (*domain.Error)(nil)
	return errors.As(err, &known) && known.Code != domain.CodeUnavailable
}

// unseal removes the key made for something that did not come to be.
func (s *Server) unseal(ctx context.Context, subject string) {
	if err := s.Vault.Destroy(context.WithoutCancel(ctx), subject); err != nil {
		s.Logger.Warn("a personal key without a person could not be removed", "error", err)
	}
}

// AcceptInvitation makes the invited person a member.
func (s *Server) AcceptInvitation(ctx context.Context, req *tenurev1.AcceptInvitationRequest) (*tenurev1.AcceptInvitationResponse, error) {
	c := domain.AcceptInvitation{TokenHash: hashAcceptToken(req.AcceptToken), ID: domain.InvitationID(req.InvitationId), User: domain.UserID(req.UserId)}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	view, err := s.invitationOf(ctx, out.State, answered(out.State, c.ID, c.TokenHash))
	return &tenurev1.AcceptInvitationResponse{Invitation: view, Token: token(out)}, err
}

// DeclineInvitation turns an invitation down.
func (s *Server) DeclineInvitation(ctx context.Context, req *tenurev1.DeclineInvitationRequest) (*tenurev1.DeclineInvitationResponse, error) {
	c := domain.DeclineInvitation{TokenHash: hashAcceptToken(req.AcceptToken), ID: domain.InvitationID(req.InvitationId), User: domain.UserID(req.UserId)}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	view, err := s.invitationOf(ctx, out.State, answered(out.State, c.ID, c.TokenHash))
	return &tenurev1.DeclineInvitationResponse{Invitation: view, Token: token(out)}, err
}

// RevokeInvitation takes an invitation back.
func (s *Server) RevokeInvitation(ctx context.Context, req *tenurev1.RevokeInvitationRequest) (*tenurev1.RevokeInvitationResponse, error) {
	c := domain.RevokeInvitation{ID: domain.InvitationID(req.InvitationId)}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	view, err := s.invitationOf(ctx, out.State, c.ID)
	return &tenurev1.RevokeInvitationResponse{Invitation: view, Token: token(out)}, err
}

// ResendInvitation renews an invitation under a new token.
func (s *Server) ResendInvitation(ctx context.Context, req *tenurev1.ResendInvitationRequest) (*tenurev1.ResendInvitationResponse, error) {
	accept, hash := newAcceptToken()
	c := domain.ResendInvitation{ID: domain.InvitationID(req.InvitationId), ExpiresAt: timeOf(req.ExpiresAt), TokenHash: hash}
	out, err := s.execute(ctx, req.Reason, c)
	if err != nil {
		return nil, err
	}
	if out.Repeated {
		return nil, alreadySent(req.InvitationId)
	}
	view, err := s.invitationOf(ctx, out.State, c.ID)
	return &tenurev1.ResendInvitationResponse{Invitation: view, AcceptToken: accept, Token: token(out)}, err
}

func alreadySent(id string) error {
	return domain.Errorf(domain.CodeExists, "SECRET_ALREADY_SHOWN",
		"this Idempotency-Key made the token of invitation %s, which was shown then; if it is lost, resend the invitation with a new Idempotency-Key", id)
}

// ListInvitations answers the invitations to a place or to a person.
func (s *Server) ListInvitations(ctx context.Context, req *tenurev1.ListInvitationsRequest) (*tenurev1.ListInvitationsResponse, error) {
	c := callFrom(ctx)
	var targets []domain.Target
	var err error
	if req.UserId != "" {
		targets, err = c.state.UserTarget(domain.UserID(req.UserId))
	} else {
		targets, err = c.state.PlaceTarget(domain.OrgID(req.OrgId), domain.ProjectID(req.ProjectId))
	}
	if _, err = s.authorize(ctx, targets, err); err != nil {
		return nil, err
	}
	var ids domain.Table[domain.InvitationID, struct{}]
	switch {
	case req.UserId != "":
		u, _ := c.state.User(domain.UserID(req.UserId))
		ids = c.state.Invited(u.EmailDigest)
		if u.EmailDigest == "" {
			ids = domain.Table[domain.InvitationID, struct{}]{}
		}
	default:
		// A project's invitations are among its organization's, also those that have ended.
		ids = targets[0].Place.Org.Invitations
	}
	list, next, err := page("invitations", behind(ids, c.state.Invitation), req.PageSize, req.PageToken,
		func(_ domain.InvitationID, i *domain.Invitation) (*domain.Invitation, bool) {
			wanted := req.IncludeEnded || i.At(c.now) == domain.InvitationPending
			return i, wanted && (req.ProjectId == "" || i.Project == domain.ProjectID(req.ProjectId))
		})
	if err != nil {
		return nil, err
	}
	res := &tenurev1.ListInvitationsResponse{NextPageToken: next}
	for _, i := range list {
		view, err := s.invitationOf(ctx, c.state, i.ID)
		if err != nil {
			return nil, err
		}
		res.Invitations = append(res.Invitations, view)
	}
	return res, nil
}

// answered is the invitation that was named by id or token.
func answered(state *domain.State, id domain.InvitationID, tokenHash []byte) domain.InvitationID {
	if i, ok := state.InvitationByToken(tokenHash); ok {
		return i.ID
	}
	return id
}

func (s *Server) invitationOf(ctx context.Context, state *domain.State, id domain.InvitationID) (*tenurev1.Invitation, error) {
	i, ok := state.Invitation(id)
	if !ok {
		return &tenurev1.Invitation{Id: string(id)}, nil
	}
	email, err := s.open(ctx, i.Email, "email")
	if err != nil {
		return nil, err
	}
	o, _ := state.Org(i.Org)
	return &tenurev1.Invitation{
		Id: string(i.ID), OrgId: string(i.Org), OrgName: o.Name, Email: email, Role: string(i.Role), ProjectId: string(i.Project),
		ProjectRole: string(i.ProjectRole), Status: tenurev1.InvitationStatus(i.At(s.Engine.Now())), InvitedBy: i.InvitedBy,
		CreatedAt: timestamppb.New(i.CreatedAt), ExpiresAt: timestamp(i.ExpiresAt),
	}, nil
}

// newAcceptToken makes a token of 256 random bits, and what is kept of it.
func newAcceptToken() (token string, hash []byte) {
	token = "tenure-invitation-" + rand.Text() + rand.Text()
	return token, hashAcceptToken(token)
}

// hashAcceptToken needs no key: what it hashes can't be guessed.
func hashAcceptToken(token string) []byte {
	if token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
