package main

// heap is what a key and a membership cost in memory. What it builds last is the shared world, whose sample of secrets counts among its keys
// with some bytes each.
func heap(s sizes) (rows []row) {
	tenth := s
	tenth.orgs = max(2, s.orgs/10)
	var w *world
	for i, s := range []sizes{tenth, s} {
		w = newWorld()
		before := heapBytes()
		w.places(s)
		places := heapBytes()
		w.memberships(s)
		w.s = w.s.Loaded()
		memberships := heapBytes()
		w.s = w.s.Loading()
		w.makeKeys(s)
		if w.s = w.s.Loaded(); i == 0 {
			w.keys = nil // of few keys the sample is most
		}
		keys := heapBytes()
		people, members, made := len(w.people), s.orgs*s.membersPerOrg, w.s.Keys().Len()
		rows = append(rows,
			row{What: "heap of a person, with " + number(float64(people)), Figure: (places - before) / float64(people), Unit: "bytes", Note: "organizations and projects shared out among them"},
			within(row{What: "heap of a membership, with " + number(float64(members)), Figure: (memberships - places) / float64(members), Unit: "bytes"}, 500),
			within(row{What: "heap of a key, with " + number(float64(made)), Figure: (keys - memberships) / float64(made), Unit: "bytes"}, 1000),
		)
	}
	share(w)
	return rows
}
