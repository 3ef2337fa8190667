package domain

// Loading is a copy of the state that Evolve changes in place as far as it can, which makes folding many commits several times
// quicker. Neither it nor a state that comes of it may be read by anybody but Evolve and Void before Loaded; if Evolve fails,
// it must be dropped.
func (s *State) Loading() *State {
	next := *s
	next.loading = true
	next.orgs, next.projects, next.users, next.keys = s.orgs.loading(), s.projects.loading(), s.users.loading(), s.keys.loading()
	next.emails, next.publicKeys, next.verifiers = s.emails.loading(), s.publicKeys.loading(), s.verifiers.loading()
	next.groups, next.invitations, next.tokens = s.groups.loading(), s.invitations.loading(), s.tokens.loading()
	next.offers, next.identities, next.erased = s.offers.loading(), s.identities.loading(), s.erased.loading()
	return &next
}

// Loaded ends what Loading began, if it did: the state can be read by anybody again.
func (s *State) Loaded() *State {
	next := *s
	next.loading = false
	next.orgs, next.projects, next.users, next.keys = s.orgs.loaded(), s.projects.loaded(), s.users.loaded(), s.keys.loaded()
	next.emails, next.publicKeys, next.verifiers = s.emails.loaded(), s.publicKeys.loaded(), s.verifiers.loaded()
	next.groups, next.invitations, next.tokens = s.groups.loaded(), s.invitations.loaded(), s.tokens.loaded()
	next.offers, next.identities, next.erased = s.offers.loaded(), s.identities.loaded(), s.erased.loaded()
	return &next
}
