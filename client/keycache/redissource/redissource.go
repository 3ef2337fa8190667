// Package redissource tells a cache of keys what changes, from a Redis that Tenure keeps current. It asks nothing of Tenure.
//
// An account that may do no more than this suffices (Tenure's own also writes):
//
//	ACL SETUSER reader on >PASSWORD resetchannels ~tenure:* -@all +@read +@connection +time +cluster|slots +cluster|shards
//
// Package projections/redis says what is read. The clocks of servers of Redis that take each other's place should agree: for
// as long as Tenure has not written to the new one, a cache takes what it knows to be newer by as much as they differ.
package redissource

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

const (
	// block is how long a question waits for something that changed. How new all is, is known about that often.
	block = 200 * time.Millisecond
	// most is how much is read at once.
	most = 1000
	// patience is how long a question may take before the connection is given up.
	patience = 5 * time.Second
	// step is by how much the clock of Redis may go back against this one without being taken for another clock.
	step = 20 * time.Millisecond
)

// Source is a keycache.Source.
type Source struct {
	option rueidis.ClientOption
	prefix string
}

var _ keycache.Source = (*Source)(nil)

// New makes a source. The option says where Redis is, see rueidis.ParseURL; the prefix is Tenure's --redis-prefix, "tenure" if empty.
// Nothing is asked before Follow.
func New(option rueidis.ClientOption, prefix string) *Source {
	option.DisableCache = true // nothing is read twice
	if prefix == "" {
		prefix = layout.DefaultPrefix
	}
	return &Source{option: option, prefix: prefix}
}

var (
	// errMissed is when something can't be told any more: all begins anew.
	errMissed = errors.New("something was missed")
	// ErrNotReady is returned by Follow while Tenure has not written everything yet, or nothing; call again.
	ErrNotReady = errors.New("what is in Redis is not complete; if it stays so, look whether Tenure runs with --redis-url and this prefix")
)

// Follow implements keycache.Source. It does not return because something was missed, but tells of it.
func (s *Source) Follow(ctx context.Context, token string, told func(keycache.News)) error {
	client, err := rueidis.NewClient(s.option)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		f := &following{client: client, told: told}
		if err := f.begin(ctx, s.prefix, token); err != nil {
			return err
		}
		if err := f.follow(ctx); !errors.Is(err, errMissed) {
			return err
		}
		token = ""
	}
}

// following is what is told without a gap.
type following struct {
	client rueidis.Client
	told   func(keycache.News)
	layout layout.Layout
	epoch  string
	// start is the position it begins at.
	start uint64
	// By partition: how far all is told, and how new that is.
	parts []part
}

type part struct {
	last     layout.ID
	position uint64
	current  time.Time
}

// begin finds out where the partitions are and tells where it begins: at the token, if what follows on it is there.
func (f *following) begin(ctx context.Context, prefix, token string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f.layout.Prefix = prefix
	found, err := f.client.Do(ctx, f.client.B().Hgetall().Key(f.layout.Key()).Build()).AsStrMap()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return ErrNotReady
	}
	if v := found[layout.LayoutVersion]; v != layout.Version {
		return fmt.Errorf("what is in Redis is laid out as of version %q, and this program reads %s: upgrade the older one of it and Tenure", v, layout.Version)
	}
	f.epoch = found[layout.LayoutEpoch]
	f.layout.Partitions, _ = strconv.Atoi(found[layout.LayoutPartitions])
	if err := f.layout.Check(); err != nil {
		return err
	}
	for p := range f.layout.Partitions {
		m, err := readMeta(f.client.Do(ctx, f.askMeta(p)))
		if err != nil {
			return err
		}
		if m.epoch != f.epoch || m.position == 0 {
			return ErrNotReady
		}
		f.parts = append(f.parts, part{last: m.last, position: m.position})
		f.start = max(f.start, m.position)
	}
	reset := !f.goOn(token)
	f.told(keycache.News{Reset: reset, Position: f.position(), Token: f.token()})
	return nil
}

// goOn takes up a token, if it is of what is there.
func (f *following) goOn(token string) bool {
	words := strings.Split(token, " ")
	if len(words) != 2+len(f.parts) || words[0] != f.epoch {
		return false
	}
	position, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return false
	}
	parts := make([]part, len(f.parts))
	for p := range parts {
		last, err := layout.ParseID(words[2+p])
		if err != nil || last.Compare(f.parts[p].last) > 0 {
			return false
		}
		// All of a position was told, but perhaps not of the last one.
		parts[p] = part{last: last}
	}
	f.start, f.parts = position, parts
	return true
}

// token is where all partitions are.
func (f *following) token() string {
	words := []string{f.epoch, strconv.FormatUint(f.position(), 10)}
	for _, p := range f.parts {
		words = append(words, p.last.String())
	}
	return strings.Join(words, " ")
}

// position is how far everything is told.
func (f *following) position() uint64 {
	least := uint64(math.MaxUint64)
	for _, p := range f.parts {
		least = min(least, p.position)
	}
	return max(f.start, least)
}

// heard is what was read of a partition at once.
type heard struct {
	partition int
	part
	list []*tenurev1.Invalidation
	err  error
}

// follow reads all partitions until something is wrong with one.
func (f *following) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	news := make(chan heard)
	ended := make(chan struct{})
	for p, at := range f.parts {
		go func() {
			f.read(ctx, p, at, news)
			ended <- struct{}{}
		}()
	}
	defer func() {
		cancel()
		for range f.parts {
			<-ended
		}
	}()
	for {
		var h heard
		select {
		case <-ctx.Done():
			return ctx.Err()
		case h = <-news:
		}
		if h.err != nil {
			return h.err
		}
		f.parts[h.partition] = h.part
		current := f.parts[0].current
		for _, p := range f.parts {
			if p.current.Before(current) {
				current = p.current
			}
		}
		f.told(keycache.News{Invalidations: h.list, Position: f.position(), Token: f.token(), Current: current})
	}
}

// read reads a partition until something is wrong.
func (f *following) read(ctx context.Context, p int, at part, news chan<- heard) {
	var c clock
	missing := false
	for {
		h := heard{partition: p, part: at}
		h.list, h.err = f.ask(ctx, p, &h.part, &c, &missing)
		select {
		case <-ctx.Done():
			return
		case news <- h:
		}
		if h.err != nil {
			return
		}
		at = h.part
	}
}

// ask reads what is next of a partition, and then how far it is and what time it is there.
func (f *following) ask(ctx context.Context, p int, at *part, c *clock, missing *bool) (list []*tenurev1.Invalidation, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b := f.client.B()
	asked := time.Now()
	answers := f.client.DoMulti(ctx,
		b.Xread().Count(most).Block(block.Milliseconds()).Streams().Key(f.layout.Stream(p)).Id(at.last.String()).Build(),
		f.askMeta(p), b.Time().Build())
	read, err := answers[0].AsXRead()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, err
	}
	m, err := readMeta(answers[1])
	if err != nil {
		return nil, err
	}
	now, err := answers[2].AsIntSlice()
	if err != nil || len(now) != 2 {
		return nil, errors.Join(err, errors.New("TIME was not answered"))
	}
	trusted := c.see(now[0]*1000+now[1]/1000, m.asOf, asked)
	if m.epoch != f.epoch {
		return nil, fmt.Errorf("%w: all was built anew", errMissed)
	}
	for _, entry := range read[f.layout.Stream(p)] {
		if previous := entry.FieldValues[layout.StreamPrevious]; previous != at.last.String() {
			return nil, fmt.Errorf("%w: %s follows on %s, not on %s", errMissed, entry.ID, previous, at.last)
		}
		i, err := invalidation(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
		at.last = layout.ID{Position: i.Position, N: uint64(i.Index)}
		at.position = max(at.position, i.Position-1)
	}
	switch order := at.last.Compare(m.last); {
	case order > 0:
		return nil, fmt.Errorf("%w: Redis lost what was behind %s", errMissed, m.last)
	case order < 0:
		// Written while this was read, or too much to be read at once: the next question is answered with it.
		if *missing = *missing && len(list) == 0; *missing {
			return nil, fmt.Errorf("%w: what is behind %s is gone", errMissed, at.last)
		}
		*missing = len(list) == 0
		return list, nil
	}
	*missing = false
	at.position = max(at.position, m.position)
	if trusted && m.asOf != 0 {
		// Of one clock, and asked for after the question began: at least as long ago.
		at.current = asked.Add(-time.Duration(now[0]*1000+now[1]/1000+1-m.asOf) * time.Millisecond)
	}
	return list, nil
}

// clock watches for the clock of Redis being set back, or being another server's. What the old one wrote says nothing by the new one, so
// it is believed again when it was written anew; the first time too, as nobody knows what was before.
type clock struct {
	now      int64 // of Redis, when it was read last
	at       time.Time
	distrust int64
}

func (c *clock) see(now, asOf int64, asked time.Time) (trusted bool) {
	if c.at.IsZero() || now-asked.Sub(c.at).Milliseconds() < c.now-step.Milliseconds() {
		c.distrust = asOf
	}
	c.at, c.now = time.Now(), now
	return asOf <= now && asOf != c.distrust
}

// meta is how far a partition is.
type meta struct {
	epoch    string
	position uint64
	last     layout.ID
	asOf     int64
}

func (f *following) askMeta(p int) rueidis.Completed {
	return f.client.B().Hmget().Key(f.layout.Meta(p)).Field(layout.MetaEpoch, layout.MetaPosition, layout.MetaLast, layout.MetaAsOf).Build()
}

func readMeta(res rueidis.RedisResult) (m meta, err error) {
	list, err := res.AsStrSlice()
	if err != nil || len(list) != 4 || list[0] == "" {
		return meta{}, err
	}
	m.epoch = list[0]
	if m.position, err = strconv.ParseUint(list[1], 10, 64); err != nil {
		return meta{}, err
	}
	if m.last, err = layout.ParseID(list[2]); err != nil {
		return meta{}, err
	}
	m.asOf, _ = strconv.ParseInt(list[3], 10, 64) // absent: not known
	return m, nil
}

// scopes are those of the stream.
var scopes = map[string]tenurev1.Scope{
	layout.Instance: tenurev1.Scope_SCOPE_INSTANCE, layout.Org: tenurev1.Scope_SCOPE_ORG, layout.Project: tenurev1.Scope_SCOPE_PROJECT,
	layout.User: tenurev1.Scope_SCOPE_USER, layout.Key: tenurev1.Scope_SCOPE_KEY,
}

var jsonOf = protojson.UnmarshalOptions{DiscardUnknown: true}

// invalidation reads an entry of a stream.
func invalidation(entry rueidis.XRangeEntry) (*tenurev1.Invalidation, error) {
	id, err := layout.ParseID(entry.ID)
	if err != nil {
		return nil, err
	}
	i := &tenurev1.Invalidation{
		Position: id.Position, Index: uint32(id.N), Id: entry.FieldValues[layout.StreamID], PublicKey: entry.FieldValues[layout.StreamPublic],
	}
	var of proto.Message
	switch i.Scope = scopes[entry.FieldValues[layout.StreamScope]]; i.Scope {
	case tenurev1.Scope_SCOPE_UNSPECIFIED:
		return nil, fmt.Errorf("a change of the scope %q: upgrade this program", entry.FieldValues[layout.StreamScope])
	case tenurev1.Scope_SCOPE_ORG:
		i.Org = &tenurev1.OrgEntry{}
		of = i.Org
	case tenurev1.Scope_SCOPE_PROJECT:
		i.Project = &tenurev1.ProjectEntry{}
		of = i.Project
	default:
		return i, nil
	}
	if err := jsonOf.Unmarshal([]byte(entry.FieldValues[layout.StreamEntry]), of); err != nil {
		return nil, fmt.Errorf("the entry of %s: %w", entry.ID, err)
	}
	return i, nil
}
