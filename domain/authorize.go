package domain

import "time"

// Requirement is who may call a method, see Rule in proto/tenure/v1/rule.proto, where each method declares its own.
type Requirement uint8

const (
	// Nobody is the requirement of a method that declares none.
	Nobody Requirement = iota
	// Anyone needs no credentials.
	Anyone
	// Authenticated needs any valid ones.
	Authenticated
	// AnyUser needs those of a user or an instance admin.
	AnyUser
	// InstanceAdmin needs those of an instance admin.
	InstanceAdmin
	// AnyInstanceKey needs those of an instance admin or any key of the instance, whatever it holds.
	AnyInstanceKey
	// Visible needs sight of what is named.
	Visible
	// Permitted needs a permission where the request says.
	Permitted
)

// Rule is what a method requires of its caller.
type Rule struct {
	Requirement Requirement
	// Org is needed in an organization that is named; Project in a project that is named, or OrgForProject in that
	// project's organization.
	Org, Project, OrgForProject Permission
	// Self frees requests about the caller itself.
	Self bool
}

// Target is one thing a request names: a place, a user, or the instance. A service account is a user with the place it is
// managed in.
type Target struct {
	Place Place
	User  UserID
	// Missing is the answer if the caller may not see the target: the same as if it did not exist.
	Missing error
	// Absent tells that there is no such thing; everybody gets Missing.
	Absent bool
	// Self tells that the request is about the caller itself.
	Self bool
	// EvenDeleted lets a deleted project pass, for restoring it; EvenInactive whatever state the place is in, for asking
	// about it.
	EvenDeleted, EvenInactive bool
}

// Authorize applies a rule to everything a request names, on this state, and answers nil or the error to give. A request
// that names nothing (no targets) is judged by the caller alone.
func (s *State) Authorize(a Actor, rule Rule, targets []Target, now time.Time) error {
	if rule.Requirement == Anyone {
		return nil
	}
	if a.Kind == 0 {
		return Errorf(CodeUnauthenticated, Unauthenticated, "this call needs credentials: send Authorization: Basic <public:secret> or Bearer <secret>")
	}
	// The caller's own account or key may have ended since it was authenticated.
	if err := s.alive(a, now); err != nil {
		return err
	}
	switch rule.Requirement {
	case Nobody:
		return Errorf(CodeDenied, PermissionDenied, "this method is not open to anybody")
	case AnyUser:
		if a.Kind != ActorUser && a.Kind != ActorInstance {
			return Errorf(CodeDenied, PermissionDenied, "this call is for people and instance admins, not for keys of a %s", a.KindName())
		}
	case InstanceAdmin:
		if !s.IsAdmin(a) {
			return s.adminOnly(a, targets, now)
		}
		return s.fullKey(a)
	case AnyInstanceKey:
		if !s.IsAdmin(a) {
			return Errorf(CodeDenied, PermissionDenied, "this call is for keys of the instance: make one with `tenure key create --instance`, it needs no permission")
		}
	case Permitted, Visible:
		for _, t := range targets {
			if err := s.authorizeTarget(a, rule, t, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// alive is an error if the actor's key or account has ended.
func (s *State) alive(a Actor, now time.Time) error {
	reason := Reason("")
	if a.Key != "" {
		k, ok := s.keys.Get(a.Key)
		if !ok {
			reason = KeyUnknown
		} else {
			reason = s.verdict(k, now)
		}
	} else if a.Kind == ActorUser {
		reason = s.userState(a.User)
	}
	if reason != "" {
		return Errorf(CodeUnauthenticated, reason, "the credentials are no longer valid (%s)", reason)
	}
	return nil
}

// adminOnly denies; what the caller may not even see is not found.
func (s *State) adminOnly(a Actor, targets []Target, now time.Time) error {
	for _, t := range targets {
		if !s.seesTarget(a, t, now) {
			return t.Missing
		}
	}
	return Errorf(CodeDenied, PermissionDenied, "this call is for instance admins")
}

// fullKey refuses a key that does not hold every permission, for what no single permission stands for: acting as an
// instance admin, making an organization one's own, changing one's account.
func (s *State) fullKey(a Actor) error {
	if a.Key == "" {
		return nil
	}
	// What an operator added later is not asked for: it would take full keys their fullness.
	if k, ok := s.keys.Get(a.Key); !ok || !builtIn.all.Within(k.Permissions) {
		return Errorf(CodeDenied, KeyCeiling, "this needs a key with all permissions; call with another one")
	}
	return nil
}

func (s *State) seesTarget(a Actor, t Target, now time.Time) bool {
	switch {
	case s.IsAdmin(a):
		return true
	case t.Place.Org != nil:
		return s.Sees(a, t.Place, now)
	case t.User != "":
		return a.Kind == ActorUser && a.User == t.User
	}
	return false
}

func (s *State) authorizeTarget(a Actor, rule Rule, t Target, now time.Time) error {
	if t.Absent {
		return t.Missing
	}
	if s.IsAdmin(a) && s.fullKey(a) == nil {
		return nil
	}
	allowed := s.meets(a, rule, t, now)
	if !allowed && !s.seesTarget(a, t, now) {
		return t.Missing
	}
	if t.Place.Org != nil && !t.EvenInactive && !s.IsAdmin(a) {
		if reason := s.stateOf(a, t.Place); reason != "" && !(reason == ProjectDeleted && t.EvenDeleted) {
			return inState(reason)
		}
	}
	if !allowed {
		return s.denied(rule, t)
	}
	return nil
}

// meets tells whether the actor satisfies the rule at the target, states of the place aside.
func (s *State) meets(a Actor, rule Rule, t Target, now time.Time) bool {
	if t.User != "" && a.Kind == ActorUser && a.User == t.User {
		return true
	}
	if t.Place.Org == nil {
		// Somebody else, or the instance.
		return false
	}
	if rule.Requirement == Visible {
		return s.Sees(a, t.Place, now)
	}
	// Being asked about oneself frees from the permission; who holds it anyway loses nothing by it.
	if rule.Self && t.Self && s.Sees(a, t.Place, now) {
		return true
	}
	if t.Place.Project == nil {
		return s.held(a, t.Place, now).set.Has(rule.Org)
	}
	return s.held(a, t.Place, now).set.Has(rule.Project) ||
		s.held(a, Place{Org: t.Place.Org}, now).set.Has(rule.OrgForProject)
}

func (s *State) denied(rule Rule, t Target) error {
	need, where := rule.Org, "the organization"
	if t.Place.Project != nil {
		need, where = rule.Project, "the project"
		if need == 0 {
			need, where = rule.OrgForProject, "the project's organization"
		}
	}
	if need == 0 {
		return Errorf(CodeDenied, PermissionDenied, "the credentials do not allow this here")
	}
	return Errorf(CodeDenied, PermissionDenied, "this needs the permission %s in %s; ask one of its owners", s.Catalog().name(need), where)
}
