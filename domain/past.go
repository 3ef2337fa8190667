package domain

// Past is an organization as it was, put together again from a record of it, to be asked the questions that the present is asked.
type Past struct {
	// Catalog is today's: what can be asked is asked in today's words.
	Catalog *Catalog
	Org     *Org
	// Projects of the organization, Users and Keys that matter there, Groups of it, and the instance admins of then.
	Projects []*Project
	Users    []*User
	Groups   []*Group
	Keys     []*Key
	Admins   []UserID
}

// State is a state that holds the organization and nothing else. Check, Explain, EffectiveRole, SubjectsAfter and AccessibleAfter
// answer on it as they did then; nothing must be decided on it.
func (p Past) State() *State {
	s := &State{catalog: p.Catalog, loading: true}
	org := *p.Org
	for _, project := range p.Projects {
		org.Projects = org.Projects.With(project.ID, struct{}{})
		s.projects = s.projects.With(project.ID, project)
	}
	for _, g := range p.Groups {
		org.Groups = org.Groups.With(g.ID, struct{}{})
		s.groups = s.groups.With(g.ID, g)
	}
	for _, u := range p.Users {
		if org.Members.Has(u.ID) {
			u.Orgs = u.Orgs.With(org.ID, struct{}{})
		}
		s.users = s.users.With(u.ID, u)
	}
	for _, k := range p.Keys {
		s.keys = s.keys.With(k.ID, k)
		s.publicKeys = s.publicKeys.With(k.Public, k.ID)
		switch {
		case k.Project != "":
			if project, ok := s.projects.Get(k.Project); ok {
				project.Keys = project.Keys.With(k.ID, struct{}{})
			}
		case k.User == "":
			org.Keys = org.Keys.With(k.ID, struct{}{})
		}
	}
	for _, id := range p.Admins {
		s.admins = s.admins.With(id, struct{}{})
	}
	s.orgs = s.orgs.With(org.ID, &org)
	return s.Loaded()
}
