package domain

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

// Transfer offers, in words:
//
//  1. Each side holds projects:transfer_org in its own organization. The one that offers need not see the other, and is not told
//     whether it exists.
//  2. A project has one pending offer. It ends when it is accepted, declined, cancelled or expires, or when the project is
//     transferred otherwise.
//  3. An offer that is accepted moves the project as any transfer does, and is refused for the same reasons.

// OfferStatus is what became of an offer. Whether a pending one has expired is judged at the time of the question.
type OfferStatus uint8

const (
	// OfferPending waits for an answer.
	OfferPending OfferStatus = iota + 1
	// OfferAccepted moved the project.
	OfferAccepted
	// OfferDeclined was turned down.
	OfferDeclined
	// OfferCancelled was taken back, or overtaken by another transfer.
	OfferCancelled
	// OfferExpired is never stored: it is what a pending one is after its time.
	OfferExpired
)

// Offer proposes to move a project.
type Offer struct {
	ID        OfferID
	Project   ProjectID
	Source    OrgID
	Target    OrgID // may name nothing
	Status    OfferStatus
	CreatedAt time.Time
	ExpiresAt time.Time
}

// At is the status at a time.
func (o *Offer) At(now time.Time) OfferStatus {
	if o.Status == OfferPending && expired(o.ExpiresAt, now) {
		return OfferExpired
	}
	return o.Status
}

// OfferTransfer offers a project to another organization.
type OfferTransfer struct {
	ID        OfferID
	Project   ProjectID
	Target    OrgID
	ExpiresAt time.Time // zero is DefaultInvitationAge from now
}

// AcceptTransfer moves the project that was offered.
type AcceptTransfer struct {
	ID            OfferID
	NewName       *string
	KeepOverrides bool
}

// DeclineTransfer turns an offer down.
type DeclineTransfer struct{ ID OfferID }

// CancelTransfer takes an offer back.
type CancelTransfer struct{ ID OfferID }

// Name is the method's name.
func (OfferTransfer) Name() string   { return "OfferTransfer" }
func (AcceptTransfer) Name() string  { return "AcceptTransfer" }
func (DeclineTransfer) Name() string { return "DeclineTransfer" }
func (CancelTransfer) Name() string  { return "CancelTransfer" }

// Targets names the project, or of an offer the organization whose part it is.
func (c OfferTransfer) Targets(s *State) ([]Target, error)  { return s.ProjectTarget(c.Project) }
func (c AcceptTransfer) Targets(s *State) ([]Target, error) { return s.offerTarget(c.ID, false) }
func (c DeclineTransfer) Targets(s *State) ([]Target, error) {
	return s.offerTarget(c.ID, false)
}
func (c CancelTransfer) Targets(s *State) ([]Target, error) { return s.offerTarget(c.ID, true) }

// offerTarget is one side of an offer that a request names. Who has no part in the other side's half meets what meets everybody
// if there is no such offer.
func (s *State) offerTarget(id OfferID, source bool) ([]Target, error) {
	o, ok := s.offers.Get(id)
	if !ok {
		return nil, offerNotFound(id)
	}
	side := o.Target
	if source {
		side = o.Source
	}
	targets, err := s.OrgTarget(side)
	if err != nil {
		return nil, offerNotFound(id)
	}
	targets[0].Missing = offerNotFound(id)
	return targets, nil
}

// OfferSides tells on which sides of an offer the actor may transfer projects.
func (s *State) OfferSides(by Actor, o *Offer, now time.Time) (source, target bool) {
	may := func(id OrgID) bool {
		org, ok := s.orgs.Get(id)
		return ok && s.Holds(by, transferOrg, Place{Org: org}, now)
	}
	return may(o.Source), may(o.Target)
}

func (c OfferTransfer) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	at, err := s.activeProject(c.Project)
	if err != nil {
		return nil, err
	}
	if c.Target == at.Org.ID {
		return nil, sameOrg()
	}
	until, err := answerableUntil(c.ExpiresAt, now)
	if err != nil {
		return nil, err
	}
	if o, ok := s.offers.Get(at.Project.Offer); ok && o.At(now) == OfferPending {
		return nil, Errorf(CodeExists, OfferExists, "offer %s of this project waits for an answer; cancel it first", o.ID)
	}
	return one(&eventv1.Event{
		OrgIds: []string{string(at.Org.ID), string(c.Target)}, ProjectId: string(c.Project), OfferId: string(c.ID),
		Body: &eventv1.Event_TransferOffered{TransferOffered: &eventv1.TransferOffered{ExpiresAt: storedTime(until)}},
	}), nil
}

func (c AcceptTransfer) decide(s *State, by Actor, now time.Time) ([]*eventv1.Event, error) {
	o, _ := s.offers.Get(c.ID)
	if err := o.answerable(now); err != nil {
		return nil, err
	}
	return s.move(TransferProject{ID: o.Project, Target: o.Target, NewName: c.NewName, KeepOverrides: c.KeepOverrides}, o.ID, by, now)
}

func (c DeclineTransfer) decide(s *State, _ Actor, now time.Time) ([]*eventv1.Event, error) {
	o, _ := s.offers.Get(c.ID)
	if o.Status == OfferDeclined {
		return nil, nil
	}
	if err := o.answerable(now); err != nil {
		return nil, err
	}
	return one(o.event(&eventv1.Event{Body: &eventv1.Event_TransferDeclined{TransferDeclined: &eventv1.TransferDeclined{}}})), nil
}

func (c CancelTransfer) decide(s *State, _ Actor, _ time.Time) ([]*eventv1.Event, error) {
	o, _ := s.offers.Get(c.ID)
	if o.Status == OfferCancelled {
		return nil, nil
	}
	if o.Status != OfferPending {
		return nil, offerEnded()
	}
	return one(o.event(&eventv1.Event{Body: &eventv1.Event_TransferCancelled{TransferCancelled: &eventv1.TransferCancelled{}}})), nil
}

// answerable is an error if the offer can't be accepted or declined any more.
func (o *Offer) answerable(now time.Time) error {
	switch o.At(now) {
	case OfferPending:
		return nil
	case OfferExpired:
		return Errorf(CodePrecondition, OfferExpiredReason, "the offer has expired; ask for another one")
	}
	return offerEnded()
}

func offerEnded() error {
	return Errorf(CodePrecondition, OfferEnded, "the offer was answered, taken back or overtaken by another transfer")
}

func (o *Offer) event(e *eventv1.Event) *eventv1.Event {
	e.OrgIds, e.ProjectId, e.OfferId = []string{string(o.Source), string(o.Target)}, string(o.Project), string(o.ID)
	return e
}

func (s *State) transferOffered(e *eventv1.Event, body *eventv1.TransferOffered, at moment) {
	o := &Offer{
		ID: OfferID(e.OfferId), Project: ProjectID(e.ProjectId), Source: OrgID(e.OrgIds[0]), Target: OrgID(e.OrgIds[1]),
		Status: OfferPending, CreatedAt: at.Time, ExpiresAt: timeOf(body.ExpiresAt),
	}
	// One before it has expired, and stays so.
	s.offers = s.offers.With(o.ID, o)
	for _, id := range []OrgID{o.Source, o.Target} {
		if s.orgs.Has(id) {
			s.editOrg(id, func(org *Org) { org.Offers = org.Offers.With(o.ID, struct{}{}) })
		}
	}
	s.editProject(o.Project, func(p *Project) { p.Offer = o.ID })
}

// endOffer ends an offer.
func (s *State) endOffer(id OfferID, status OfferStatus) {
	old, ok := s.offers.Get(id)
	if !ok {
		panic(misfit("offer " + string(id)))
	}
	o := *old
	o.Status = status
	s.offers = s.offers.With(id, &o)
	s.editProject(o.Project, func(p *Project) {
		if p.Offer == id {
			p.Offer = ""
		}
	})
}

// OfferTarget is the side of an offer that the actor has a part in, for asking about it: the one that offers, the one that was
// offered the project, or both.
func (s *State) OfferTarget(by Actor, id OfferID, now time.Time) ([]Target, error) {
	o, ok := s.offers.Get(id)
	if !ok {
		return nil, offerNotFound(id)
	}
	source, target := s.OfferSides(by, o, now)
	if org, ok := s.orgs.Get(o.Target); ok && !source && !target {
		// Who has rights on neither side is told so by the one they see.
		target = s.Sees(by, Place{Org: org}, now)
	}
	targets, err := s.offerTarget(id, !target)
	for i := range targets {
		targets[i].EvenInactive = true
	}
	return targets, err
}

// PreviewOffer tells what accepting an offer would do, as far as the actor has a part in it: both halves to who has rights on both
// sides.
func (s *State) PreviewOffer(o *Offer, c AcceptTransfer, by Actor, now time.Time) (TransferPreview, error) {
	if err := o.answerable(now); err != nil {
		return TransferPreview{}, err
	}
	source, target := s.OfferSides(by, o, now)
	if !s.orgs.Has(o.Target) {
		// The source is told the same as if there were such an organization.
		fork := *s
		fork.orgs = fork.orgs.With(o.Target, &Org{ID: o.Target, Status: Active})
		s = &fork
	}
	// Which overrides could be kept would tell the source who is a member of the target.
	keep := c.KeepOverrides && target
	preview := s.PreviewTransfer(TransferProject{ID: o.Project, Target: o.Target, NewName: c.NewName, KeepOverrides: keep}, by, now)
	if source && target {
		return preview, nil
	}
	return preview.Half(source), nil
}
