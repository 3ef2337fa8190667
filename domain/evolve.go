package domain

import (
	"fmt"
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// moment is when and where in the log an event happened.
type moment struct {
	Time     time.Time
	Position Position
}

// manyAtOnce is from how many commands of a commit on it pays to change the state that they leave in place, instead of making one for each.
const manyAtOnce = 8

// Together is the state as one that so many commands of a commit are folded into: Loading, if that pays. It must be Loaded before
// anybody reads it.
func (s *State) Together(commands int) *State {
	if s.loading || commands < manyAtOnce {
		return s
	}
	return s.Loading()
}

// Evolve folds a whole commit into the state: what it leaves is position at with the commit's hash and time. An error means
// that the commit does not fit the state, so that this build and the log disagree: the reader must stop.
func Evolve(s *State, c *eventv1.Commit, at Position, hash Hash) (*State, error) {
	next := s.Together(len(c.Entries))
	for i, entry := range c.Entries {
		var err error
		if next, err = EvolveEntry(next, entry, i, at, c.Time.AsTime()); err != nil {
			return nil, err
		}
	}
	next = next.Advanced(at, hash)
	next.Time = c.Time.AsTime()
	if next.loading != s.loading {
		next = next.Loaded()
	}
	return next, nil
}

// fork is a state to be changed: a copy, unless nobody reads s anyway.
func (s *State) fork() *State {
	if s.loading {
		return s
	}
	next := *s
	return &next
}

// EvolveEntry folds one command's outcome, the index-th of the commit at a position, into the state; position and hash of
// the state stay as they are. It is what decides the next command of the same commit.
func EvolveEntry(s *State, entry *eventv1.Entry, index int, at Position, t time.Time) (next *State, err error) {
	defer func() {
		// Whatever an event is, it must not bring the server down without saying where in the log it stands.
		if r := recover(); r != nil {
			err = fmt.Errorf("position %d: %s does not fit the state: %v", at, entry.Command, r)
		}
	}()
	fork := s.fork()
	for _, e := range entry.Events {
		fork.evolve(e, entry.Actor, moment{t, at})
	}
	if id := entry.Idempotency; id != nil {
		fork.memory = fork.memory.remember(string(id.Key),
			Remembered{Position: at, Index: index, Command: string(id.Command)}, t, fork.Instance.IdempotencyCapacity)
	}
	return fork, nil
}

// misfit is what an event names although the state does not know it.
type misfit string

func (m misfit) Error() string { return string(m) + " is unknown" }

// evolve changes s, which nobody else has seen yet.
func (s *State) evolve(e *eventv1.Event, by *eventv1.Actor, at moment) {
	switch body := e.Body.(type) {
	case *eventv1.Event_InstanceCreated:
		s.instanceCreated(body.InstanceCreated)
	case *eventv1.Event_PepperIntroduced:
		s.pepperIntroduced(body.PepperIntroduced)
	case *eventv1.Event_FormatRaised:
		s.formatRaised(body.FormatRaised)

	case *eventv1.Event_CatalogExtended:
		s.catalogExtended(body.CatalogExtended)
	case *eventv1.Event_InstanceAdminGranted:
		s.instanceAdmin(e, true)
	case *eventv1.Event_InstanceAdminRevoked:
		s.instanceAdmin(e, false)
	case *eventv1.Event_PolicyUpdated:
		s.policyUpdated(body.PolicyUpdated)
	case *eventv1.Event_PlanDefined:
		s.planDefined(body.PlanDefined)
	case *eventv1.Event_DataPlaneRegistered:
		s.dataPlaneRegistered(body.DataPlaneRegistered)
	case *eventv1.Event_InitApplied:
		s.initApplied(body.InitApplied)

	case *eventv1.Event_OrgCreated:
		s.orgCreated(e, body.OrgCreated, at)
	case *eventv1.Event_OrgUpdated:
		s.orgUpdated(e, body.OrgUpdated, at)
	case *eventv1.Event_OrgSuspended:
		s.orgStatus(e, Suspended, at)
	case *eventv1.Event_OrgResumed:
		s.orgStatus(e, Active, at)
	case *eventv1.Event_OrgDeleted:
		s.orgStatus(e, Deleted, at)

	case *eventv1.Event_OrgPlanSet:
		s.orgPlanSet(e, body.OrgPlanSet, at)
	case *eventv1.Event_OrgPlaced:
		s.orgPlaced(e, body.OrgPlaced, at)

	case *eventv1.Event_ProjectCreated:
		s.projectCreated(e, body.ProjectCreated, at)
	case *eventv1.Event_ProjectUpdated:
		s.projectUpdated(e, body.ProjectUpdated, at)
	case *eventv1.Event_ProjectDeleted:
		s.projectDeleted(e, at)
	case *eventv1.Event_ProjectRestored:
		s.projectRestored(e, body.ProjectRestored, at)
	case *eventv1.Event_ProjectTransferred:
		s.projectTransferred(e, body.ProjectTransferred, at)
	case *eventv1.Event_TransferOffered:
		s.transferOffered(e, body.TransferOffered, at)
	case *eventv1.Event_TransferDeclined:
		s.endOffer(OfferID(e.OfferId), OfferDeclined)
	case *eventv1.Event_TransferCancelled:
		s.endOffer(OfferID(e.OfferId), OfferCancelled)

	case *eventv1.Event_UserRegistered:
		s.userRegistered(e, body.UserRegistered, at)
	case *eventv1.Event_UserUpdated:
		s.userUpdated(e, body.UserUpdated, at)
	case *eventv1.Event_UserDeactivated:
		s.userStatus(e, UserIsDeactivated, at)
	case *eventv1.Event_UserReactivated:
		s.userStatus(e, UserActive, at)
	case *eventv1.Event_UserErased:
		s.userErased(e, body.UserErased, at)
	case *eventv1.Event_ServiceAccountCreated:
		s.serviceAccountCreated(e, body.ServiceAccountCreated, at)
	case *eventv1.Event_IdentityLinked:
		s.identityLinked(e, body.IdentityLinked.GetIdentity())
	case *eventv1.Event_IdentityUnlinked:
		s.identityUnlinked(e, body.IdentityUnlinked.GetIdentity())

	case *eventv1.Event_RoleGranted:
		s.roleGranted(e, body.RoleGranted)
	case *eventv1.Event_RoleRevoked:
		s.roleRevoked(e, body.RoleRevoked)
	case *eventv1.Event_MemberSuspended:
		s.memberSuspended(e, true)
	case *eventv1.Event_MemberResumed:
		s.memberSuspended(e, false)

	case *eventv1.Event_RoleDefined:
		s.roleDefined(e, body.RoleDefined)
	case *eventv1.Event_RoleUpdated:
		s.roleUpdated(e, body.RoleUpdated)
	case *eventv1.Event_RoleDeleted:
		s.roleDeleted(e, body.RoleDeleted)

	case *eventv1.Event_GroupCreated:
		s.groupCreated(e, body.GroupCreated, at)
	case *eventv1.Event_GroupUpdated:
		s.groupUpdated(e, body.GroupUpdated, at)
	case *eventv1.Event_GroupDeleted:
		s.groupDeleted(e, body.GroupDeleted)

	case *eventv1.Event_InvitationSent:
		s.invitationSent(e, body.InvitationSent, by, at)
	case *eventv1.Event_InvitationResent:
		s.invitationResent(e, body.InvitationResent)
	case *eventv1.Event_InvitationAccepted:
		s.invitationEnds(e, InvitationAccepted)
	case *eventv1.Event_InvitationDeclined:
		s.invitationEnds(e, InvitationDeclined)
	case *eventv1.Event_InvitationRevoked:
		s.invitationEnds(e, InvitationRevoked)

	case *eventv1.Event_WebhookCreated:
		s.webhookCreated(e, body.WebhookCreated, at)
	case *eventv1.Event_WebhookUpdated:
		s.webhookUpdated(body.WebhookUpdated, at)
	case *eventv1.Event_WebhookSecretRotated:
		s.webhookSecretRotated(body.WebhookSecretRotated, at)
	case *eventv1.Event_WebhookDeleted:
		s.webhookDeleted(e, body.WebhookDeleted)

	case *eventv1.Event_KeyCreated:
		s.keyCreated(e, body.KeyCreated, by, at)
	case *eventv1.Event_KeyUpdated:
		s.keyUpdated(e, body.KeyUpdated)
	case *eventv1.Event_KeyRotated:
		s.keyRotated(e, body.KeyRotated, by, at)
	case *eventv1.Event_KeyRevoked:
		s.keyRevoked(e, at)
	case *eventv1.Event_KeyRehashed:
		s.keyRehashed(e, body.KeyRehashed)
	case *eventv1.Event_KeyImported:
		s.keyImported(e, body.KeyImported, by, at)
	default:
		panic(misfit(fmt.Sprintf("event %T", e.Body)))
	}
}
