package domain

// Loading is a copy of the state that Evolve changes in place as far as it can, which makes folding many commits several times
// quicker. Neither it nor a state that comes of it may be read by anybody but Evolve and Void before Loaded; if Evolve fails,
// it must be dropped.
func (s *State) Loading() *State { return s.withLoading(true) }

// Loaded ends what Loading began, if it did: the state can be read by anybody again.
func (s *State) Loaded() *State {
	if !s.loading {
		return s
	}
	return s.withLoading(false)
}

func (s *State) withLoading(loading bool) *State {
	next := *s
	next.loading = loading
	for _, part := range next.parts() {
		if table, ok := part.(interface{ setLoading(bool) }); ok {
			table.setLoading(loading)
		}
	}
	return &next
}
