package domain

import (
	"net/netip"
	"time"
)

// State is everything the log says at one position. It never changes; Evolve makes the next one.
type State struct {
	// Position and Hash are those of the last message folded in; the next commit is decided on them.
	Position Position
	Hash     Hash
	// Time is that of the last commit.
	Time time.Time
	// Voids counts positions that held something other than a commit.
	Voids uint64

	Instance Instance

	orgs     Table[OrgID, *Org]
	projects Table[ProjectID, *Project]
	users    Table[UserID, *User]
	keys     Table[KeyID, *Key]

	emails       Table[string, UserID] // by keyed digest of the e-mail
	publicKeys   Table[string, KeyID]  // by public part
	verifiers    Table[string, KeyID]  // by stored hash, for callers who send the secret alone
	instanceKeys Table[KeyID, struct{}]
	erased       Table[string, struct{}] // subjects whose personal keys must not exist any more

	catalog     *Catalog
	admins      Table[UserID, struct{}]
	plans       Table[PlanID, *Plan]
	dataPlanes  Table[DataPlaneID, *DataPlane]
	groups      Table[GroupID, *Group]
	invitations Table[InvitationID, *Invitation]
	invited     Table[string, Table[InvitationID, struct{}]] // by keyed digest of the e-mail, ended ones too
	tokens      Table[string, InvitationID]                  // by hash of the token, of pending ones
	offers      Table[OfferID, *Offer]
	identities  Table[string, UserID] // by keyed digest of issuer and subject
	inits       Table[string, struct{}]
	webhooks    Table[WebhookID, *Webhook]

	memory memory

	loading bool // see Loading
}

// Instance is the installation.
type Instance struct {
	// LogID is random and names the log; "" before the first commit.
	LogID string
	// Peppers are the ids of all peppers ever introduced; the last one is for new keys.
	Peppers []string
	// SealingKey is the id of the key that wraps personal keys.
	SealingKey string
	// IdempotencyCapacity is how many idempotency keys are remembered at most.
	IdempotencyCapacity int
	// Format is what the log was raised to; 0 if it never was, see LogFormat.
	Format uint32
	Policy Policy
}

// Status is whether an organization or project may be used.
type Status uint8

const (
	// Active is the status of what may be used.
	Active Status = iota + 1
	// Suspended denies everything until it is resumed.
	Suspended
	// Deleted denies everything.
	Deleted
)

// Org is an organization, the boundary between tenants.
type Org struct {
	ID        OrgID
	Name      string
	Metadata  map[string]string
	Status    Status
	Claimed   bool // has had an owner
	CreatedAt time.Time
	UpdatedAt time.Time
	// CreatedIn is the position of its first event.
	CreatedIn Position

	Plan      PlanID      // "" for none
	Residency string      // region that its data must stay in; "" for any
	DataPlane DataPlaneID // "" for none

	Members     Table[UserID, Member]
	Projects    Table[ProjectID, struct{}] // deleted ones too
	Names       Table[string, ProjectID]   // of active projects, folded
	Keys        Table[KeyID, struct{}]
	Roles       Table[Role, *CustomRole]
	RoleNames   Table[string, Role] // folded
	Groups      Table[GroupID, struct{}]
	GroupNames  Table[string, GroupID] // folded
	Invitations Table[InvitationID, struct{}]
	Offers      Table[OfferID, struct{}] // to it and from it
	Webhooks    Table[WebhookID, struct{}]
	// KeysHeld counts the keys of it and of its projects that are not revoked.
	KeysHeld int
}

// Member is somebody's hold on an organization: a role granted to them, groups, or both. The Grant is the zero one for who
// is a member by groups alone.
type Member struct {
	Grant
	Suspended bool
	Groups    []GroupID // sorted
}

// Project belongs to one organization at a time.
type Project struct {
	ID            ProjectID
	Org           OrgID
	Name          string
	Metadata      map[string]string
	RetentionDays uint32
	Environments  []string // declared ones, sorted, without "default"
	Status        Status
	CreatedAt     time.Time
	UpdatedAt     time.Time
	CreatedIn     Position

	Overrides   Table[UserID, Grant]
	Keys        Table[KeyID, struct{}]
	Invitations Table[InvitationID, struct{}] // that name it, pending ones
	Offer       OfferID                       // the pending one; "" for none
	KeysHeld    int                           // keys that are not revoked
}

// UserStatus is whether a person may do anything.
type UserStatus uint8

const (
	// UserActive may do what the roles say.
	UserActive UserStatus = iota + 1
	// UserIsDeactivated may do nothing until reactivated.
	UserIsDeactivated
	// UserIsErased is gone for good.
	UserIsErased
)

// User is a person, or a service account if it has a home. What is personal is sealed; the domain can't read it.
type User struct {
	ID          UserID
	Home        OrgID // of a service account: where it is managed, and the only place where it can be a member
	Email       Sealed
	EmailDigest string
	Name        Sealed
	Status      UserStatus
	CreatedAt   time.Time
	UpdatedAt   time.Time

	Orgs        Table[OrgID, struct{}]
	Keys        Table[KeyID, struct{}]
	Identities  Table[string, Identity]       // by keyed digest
	Invitations Table[InvitationID, struct{}] // that hold an address of theirs and are not found by the present one
}

// Identity is an account elsewhere.
type Identity struct {
	Issuer  string
	Subject Sealed
}

// Sealed is a personal value that only the sealing package can read; the zero Sealed is an empty value.
type Sealed struct {
	Subject string `snapshot:"shared"`
	Data    string
}

// Key is an API key. It acts as its principal: Project, else User, else Org, else the instance. A project's key does not
// name an organization: it is in whichever the project is in.
type Key struct {
	ID      KeyID
	Public  string
	Display string
	// Scheme, Pepper and Verifier tell a right secret from a wrong one.
	Scheme   string `snapshot:"shared"`
	Pepper   string `snapshot:"shared"`
	Verifier string

	Project ProjectID
	Org     OrgID
	User    UserID

	Name         string
	Note         string
	Permissions  PermissionSet
	Environments []string // none means all
	Networks     []netip.Prefix
	ExpiresAt    time.Time
	CreatedAt    time.Time
	CreatedBy    string `snapshot:"shared"`
	RevokedAt    time.Time
	Successor    KeyID
}

// Org finds an organization by its id.
func (s *State) Org(id OrgID) (*Org, bool) { return s.orgs.Get(id) }

// Project finds a project by its id.
func (s *State) Project(id ProjectID) (*Project, bool) { return s.projects.Get(id) }

// User finds a user by id.
func (s *State) User(id UserID) (*User, bool) { return s.users.Get(id) }

// Key finds a key by its id.
func (s *State) Key(id KeyID) (*Key, bool) { return s.keys.Get(id) }

// KeyByPublic finds a key by its public part.
func (s *State) KeyByPublic(public string) (*Key, bool) {
	id, ok := s.publicKeys.Get(public)
	if !ok {
		return nil, false
	}
	return s.keys.Get(id)
}

// KeyByVerifier finds a key by the stored hash of its secret.
func (s *State) KeyByVerifier(hash []byte) (*Key, bool) {
	id, ok := s.verifiers.Get(string(hash))
	if !ok {
		return nil, false
	}
	return s.keys.Get(id)
}

// UserByEmail finds a user by the keyed digest of the e-mail.
func (s *State) UserByEmail(digest []byte) (*User, bool) {
	id, ok := s.emails.Get(string(digest))
	if !ok {
		return nil, false
	}
	return s.users.Get(id)
}

// Orgs are all organizations by id.
func (s *State) Orgs() Table[OrgID, *Org] { return s.orgs }

// Projects are all projects by id.
func (s *State) Projects() Table[ProjectID, *Project] { return s.projects }

// Users are all users by id.
func (s *State) Users() Table[UserID, *User] { return s.users }

// Keys are all keys by id.
func (s *State) Keys() Table[KeyID, *Key] { return s.keys }

// InstanceKeys are the keys of the instance.
func (s *State) InstanceKeys() Table[KeyID, struct{}] { return s.instanceKeys }

// Erased are the subjects whose personal keys must not exist any more: people, and invitations to them.
func (s *State) Erased() Table[string, struct{}] { return s.erased }

// Admins are the people who are instance admins.
func (s *State) Admins() Table[UserID, struct{}] { return s.admins }

// Plan finds a plan by its id.
func (s *State) Plan(id PlanID) (*Plan, bool) { return s.plans.Get(id) }

// Plans are all plans by id.
func (s *State) Plans() Table[PlanID, *Plan] { return s.plans }

// DataPlane finds a data plane by its id.
func (s *State) DataPlane(id DataPlaneID) (*DataPlane, bool) { return s.dataPlanes.Get(id) }

// DataPlanes are all data planes by id.
func (s *State) DataPlanes() Table[DataPlaneID, *DataPlane] { return s.dataPlanes }

// Groups are all groups by id.
func (s *State) Groups() Table[GroupID, *Group] { return s.groups }

// Invitations are all invitations by id.
func (s *State) Invitations() Table[InvitationID, *Invitation] { return s.invitations }

// Group finds a group by its id.
func (s *State) Group(id GroupID) (*Group, bool) { return s.groups.Get(id) }

// Invitation finds an invitation by its id.
func (s *State) Invitation(id InvitationID) (*Invitation, bool) { return s.invitations.Get(id) }

// Invited are the invitations to the e-mail of this keyed digest.
func (s *State) Invited(digest string) Table[InvitationID, struct{}] {
	ids, _ := s.invited.Get(digest)
	return ids
}

// Offer finds a transfer offer by its id.
func (s *State) Offer(id OfferID) (*Offer, bool) { return s.offers.Get(id) }

// UserByIdentity finds a user by the keyed digest of issuer and subject.
func (s *State) UserByIdentity(digest []byte) (*User, bool) {
	id, ok := s.identities.Get(string(digest))
	if !ok {
		return nil, false
	}
	return s.users.Get(id)
}

// Advanced is the state with another message of the log behind it that changed nothing but position and hash.
func (s *State) Advanced(to Position, hash Hash) *State {
	next := s.fork()
	next.Position, next.Hash = to, hash
	return next
}

// Void is the state behind a message that is not a commit.
func (s *State) Void(at Position, hash Hash) *State {
	next := s.Advanced(at, hash)
	next.Voids++
	return next
}
