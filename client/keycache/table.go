package keycache

import (
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// pairID is the SHA-256 of a public part and a secret. The secret itself is not kept.
type pairID [32]byte

// pair is what a public part and a secret are: a key, or nothing; or a person and a place.
type pair struct {
	id      pairID
	key     *keyNode // nil: there is no such key
	place   *place   // of a person
	visited atomic.Bool
	// Of a pair that is nothing: until when that is believed, and while how many keys had changed that it could be.
	until   time.Time
	changes uint32
	bucket  int
	slot    int // in its shard's ring
}

const (
	shardCount = 64
	// buckets count changes of keys by their public part.
	buckets = 1024
	// anyKey is the bucket of who gave no public part: every key could be theirs.
	anyKey = buckets
)

// table is everything a cache holds, made anew when something may have been missed.
type table struct {
	shards  [shardCount]shard
	changed [buckets + 1]atomic.Uint32
	floor   uint64 // answers in front of it may lack what was missed
	newest  uint64 // the greatest position that was told of

	mu       sync.Mutex
	keys     map[string]*keyNode
	projects map[string]*projectNode
	orgs     map[string]*orgNode
	users    map[string]*userNode
	told     memory
	evicted  int
}

type shard struct {
	mu    sync.RWMutex
	pairs map[pairID]*pair
	// ring holds the pairs in the order in which room is looked for, from hand on.
	ring []*pair
	hand int
}

func newTable(floor uint64) *table {
	t := &table{
		floor: floor, newest: floor, keys: map[string]*keyNode{}, projects: map[string]*projectNode{}, orgs: map[string]*orgNode{}, users: map[string]*userNode{},
	}
	t.told.at = map[told]uint64{}
	for i := range t.shards {
		t.shards[i].pairs = map[pairID]*pair{}
	}
	return t
}

// told is what an invalidation was about.
type told struct {
	scope tenurev1.Scope
	id    string
}

// memoryMost is how many invalidations are remembered. An answer that is older than the oldest of them is not taken.
const memoryMost = 1 << 16

// memory is the last invalidation of each entry, for answers that were asked for before it.
type memory struct {
	at    map[told]uint64
	order []remembered
	next  int
	floor uint64
}

type remembered struct {
	told
	position uint64
}

func (m *memory) add(what told, position uint64) {
	if position <= m.at[what] {
		return
	}
	m.at[what] = position
	if len(m.order) < memoryMost {
		m.order = append(m.order, remembered{what, position})
		return
	}
	if old := m.order[m.next]; m.at[old.told] == old.position {
		delete(m.at, old.told)
		m.floor = max(m.floor, old.position)
	}
	m.order[m.next] = remembered{what, position}
	m.next = (m.next + 1) % memoryMost
}

// before tells whether an answer of a position is older than what was told of something.
func (m *memory) before(position uint64, what told) bool { return position < m.at[what] }

// get is the pair of an id, if it is held.
func (t *table) get(id pairID) *pair {
	s := &t.shards[id[0]%shardCount]
	s.mu.RLock()
	p := s.pairs[id]
	s.mu.RUnlock()
	if p != nil && !p.visited.Load() {
		p.visited.Store(true)
	}
	return p
}

// put holds a pair; most is how many all shards hold at most. Room is made by one that was not used since the hand last passed.
func (t *table) put(p *pair, most int) (evicted bool) {
	s := &t.shards[p.id[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.pairs[p.id]
	s.pairs[p.id] = p
	switch {
	case old != nil:
		p.slot = old.slot
	case len(s.ring) < max(1, most/shardCount):
		p.slot = len(s.ring)
		s.ring = append(s.ring, nil)
	default:
		for s.ring[s.hand].visited.Swap(false) {
			s.hand = (s.hand + 1) % len(s.ring)
		}
		delete(s.pairs, s.ring[s.hand].id)
		p.slot, evicted = s.hand, true
		s.hand = (s.hand + 1) % len(s.ring)
	}
	s.ring[p.slot] = p
	return evicted
}

// stands tells whether nothing is known by which a pair that was nothing could be a key.
func (t *table) stands(p *pair, now time.Time) bool {
	return now.Before(p.until) && t.changed[p.bucket].Load() == p.changes
}

func bucketOf(public string) int {
	if public == "" {
		return anyKey
	}
	return int(crc32.ChecksumIEEE([]byte(public)) % buckets)
}

// public names a key by its public part, for answers that know no id.
func byPublic(public string) told { return told{tenurev1.Scope_SCOPE_UNSPECIFIED, public} }

// take applies what a source told. It answers false if all is to be made anew.
func (t *table) take(list []*tenurev1.Invalidation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range list {
		t.newest = max(t.newest, i.Position)
		t.told.add(told{i.Scope, i.Id}, i.Position)
		switch i.Scope {
		case tenurev1.Scope_SCOPE_ORG:
			if n := t.orgs[i.Id]; n != nil {
				n.set(i.Position, i.Org)
			}
		case tenurev1.Scope_SCOPE_PROJECT:
			if n := t.projects[i.Id]; n != nil {
				t.setProject(n, i.Position, i.Project)
			}
		case tenurev1.Scope_SCOPE_USER:
			if n := t.users[i.Id]; n != nil {
				if v := n.value.Load(); v != nil && v.position < i.Position {
					n.value.Store(nil)
				}
			}
		case tenurev1.Scope_SCOPE_KEY:
			t.told.add(byPublic(i.PublicKey), i.Position)
			t.told.add(byPublic(""), i.Position)
			t.changed[bucketOf(i.PublicKey)].Add(1)
			t.changed[anyKey].Add(1)
			if n := t.keys[i.Id]; n != nil {
				if v := n.value.Load(); v != nil && v.position < i.Position {
					n.value.Store(nil)
				}
			}
		default:
			// All entries, or something that this package does not know.
			return false
		}
	}
	return true
}

// answer is what Tenure answered: what a key and a person are judged by, at a position.
type answer struct {
	position uint64
	key      *tenurev1.KeyEntry
	user     *tenurev1.UserEntry
	projects []*tenurev1.ProjectEntry
	orgs     []*tenurev1.OrgEntry
}

// old tells whether something in an answer is older than what was told of it. The caller holds mu.
func (t *table) old(a answer, public string) bool {
	if a.position < max(t.floor, t.told.floor) {
		return true
	}
	if a.key == nil && a.user == nil {
		return t.told.before(a.position, byPublic(public))
	}
	old := a.key != nil && t.told.before(a.position, told{tenurev1.Scope_SCOPE_KEY, a.key.Id})
	old = old || a.user != nil && t.told.before(a.position, told{tenurev1.Scope_SCOPE_USER, a.user.Id})
	for _, p := range a.projects {
		old = old || t.told.before(a.position, told{tenurev1.Scope_SCOPE_PROJECT, p.Id})
	}
	for _, o := range a.orgs {
		old = old || t.told.before(a.position, told{tenurev1.Scope_SCOPE_ORG, o.Id})
	}
	return old
}

// load takes the entries of an answer that is not old, where it is newer than what is held. The caller holds mu.
func (t *table) load(a answer) (key *keyNode, user *userNode) {
	for _, o := range a.orgs {
		t.org(o.Id).set(a.position, o)
	}
	for _, p := range a.projects {
		t.setProject(t.project(p.Id), a.position, p)
	}
	if a.user != nil {
		user = node(t.users, a.user.Id)
		if v := user.value.Load(); v == nil || v.position < a.position {
			user.value.Store(t.userValue(a.position, a.user))
		}
	}
	if a.key != nil {
		key = node(t.keys, a.key.Id)
		if v := key.value.Load(); v == nil || v.position < a.position {
			key.value.Store(t.keyValue(a.position, a.key))
		}
	}
	return key, user
}

func node[N any](nodes map[string]*N, id string) *N {
	n := nodes[id]
	if n == nil {
		n = new(N)
		nodes[id] = n
	}
	return n
}

func (t *table) org(id string) *orgNode         { return node(t.orgs, id) }
func (t *table) project(id string) *projectNode { return node(t.projects, id) }

func (n *orgNode) set(position uint64, e *tenurev1.OrgEntry) {
	if v := n.value.Load(); v == nil || v.position < position {
		n.value.Store(&orgValue{position: position, id: e.GetId(), reason: e.GetReason(), plan: e.GetPlanId(), dataPlane: e.GetDataPlaneId()})
	}
}

func (t *table) setProject(n *projectNode, position uint64, e *tenurev1.ProjectEntry) {
	if v := n.value.Load(); v == nil || v.position < position {
		n.value.Store(&projectValue{position: position, reason: e.GetReason(), org: t.org(e.GetOrgId())})
	}
}

func (t *table) keyValue(position uint64, e *tenurev1.KeyEntry) *keyValue {
	v := &keyValue{
		position: position, id: e.Id, reason: e.Reason, projectID: e.ProjectId, userID: e.UserId, permissions: levels{e.OrgPermissions, e.ProjectPermissions},
		environments: e.Environments, networks: networks(e.AllowedNetworks), expires: timeOf(e.ExpiresAt),
	}
	v.names = names(v.permissions)
	switch {
	case e.ProjectId != "":
		v.project = t.project(e.ProjectId)
	case e.UserId != "":
		v.user = node(t.users, e.UserId)
	case e.OrgId != "":
		v.org = t.org(e.OrgId)
	}
	return v
}

func (t *table) userValue(position uint64, e *tenurev1.UserEntry) *userValue {
	v := &userValue{position: position, reason: e.Reason, admin: e.InstanceAdmin}
	for _, h := range e.Holdings {
		held := holding{
			orgID: h.OrgId, projectID: h.ProjectId, org: t.org(h.OrgId), role: h.Role, by: h.By, expires: timeOf(h.ExpiresAt),
		}
		// One that is not there gives nothing.
		if n := int(h.Set); n > 0 && n <= len(e.Sets) {
			held.permissions = levels{e.Sets[n-1].OrgPermissions, e.Sets[n-1].ProjectPermissions}
		}
		if h.ProjectId != "" {
			held.project = t.project(h.ProjectId)
		}
		v.holdings = append(v.holdings, held)
	}
	return v
}
