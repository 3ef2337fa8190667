package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
)

// buildLock is for how long a server that builds is believed to be alive.
const buildLock = 15 * time.Second

// load finds out where the partitions are, and builds them if they are not what they should be.
func (s *sink) load(ctx context.Context) error {
	s.places = nil
	// Another server may answer now, with another clock.
	clear(s.claims)
	c, err := s.conn.get()
	if err != nil {
		return err
	}
	if s.rebuild != "" {
		return s.build(ctx, c, s.rebuild)
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	commands := rueidis.Commands{c.B().Hgetall().Key(s.layout.Key()).Build()}
	for p := range s.layout.Partitions {
		commands = append(commands, s.askMeta(c, p), c.B().XinfoStream().Key(s.layout.Stream(p)).Build())
	}
	answers := c.DoMulti(asking, commands...)
	found, err := answers[0].AsStrMap()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return s.build(ctx, c, "there is nothing")
	}
	if other := s.other(found); other != "" {
		if err := s.mayReplace(asking, c, other); err != nil {
			return err
		}
		return s.build(ctx, c, other)
	}
	places := make([]place, s.layout.Partitions)
	for p := range places {
		m, err := readMeta(answers[1+2*p])
		if err != nil {
			return err
		}
		if m.epoch != found[layout.LayoutEpoch] || m.at.Position == 0 {
			return s.build(ctx, c, fmt.Sprintf("partition %d is not complete", p))
		}
		m.at.LogID = s.logID
		last, err := lastGenerated(answers[2+2*p])
		if err != nil {
			return err
		}
		if last.Compare(m.last) > 0 {
			// It would refuse what comes next, for ever.
			return s.build(ctx, c, fmt.Sprintf("the stream of partition %d is in front of its checkpoint", p))
		}
		places[p] = m.place
	}
	if generation, err := strconv.ParseInt(found[layout.LayoutGeneration], 10, 64); err == nil {
		s.generation.Store(generation)
	}
	s.epoch, s.places = found[layout.LayoutEpoch], places
	return nil
}

// other is what is wrong with a layout, "" for nothing.
func (s *sink) other(found map[string]string) string {
	for _, want := range [][2]string{
		{layout.LayoutLog, s.logID}, {layout.LayoutVersion, layout.Version}, {layout.LayoutPartitions, strconv.Itoa(s.layout.Partitions)},
	} {
		if got := found[want[0]]; got != want[1] {
			return fmt.Sprintf("its %s is %q, not %q", want[0], got, want[1])
		}
	}
	return ""
}

// mayReplace is an error while another server keeps what is there current: two that replace each other's work help nobody.
func (s *sink) mayReplace(ctx context.Context, c rueidis.Client, other string) error {
	answers := c.DoMulti(ctx, s.askMeta(c, 0), c.B().Time().Build())
	m, err := readMeta(answers[0])
	if err != nil {
		return err
	}
	now, err := readTime(answers[1])
	// One that lies in the future was written before the clock was set back.
	if err == nil && m.asOf != 0 && m.asOf <= now && now-m.asOf < othersTime.Milliseconds() {
		return fmt.Errorf("another server keeps what is under %q, and %s; give all servers of a log the same settings, and each log a prefix of its own", s.layout.Prefix, other)
	}
	return err
}

// meta is what a partition says of itself.
type meta struct {
	epoch string
	place
	asOf int64 // 0 for none
}

func (s *sink) askMeta(c rueidis.Client, p int) rueidis.Completed {
	return c.B().Hmget().Key(s.layout.Meta(p)).Field(layout.MetaEpoch, layout.MetaPosition, layout.MetaHash, layout.MetaLast, layout.MetaAsOf).Build()
}

// readMeta reads what askMeta asked for; what is not there or can't be read is like what was never built.
func readMeta(res rueidis.RedisResult) (m meta, err error) {
	list, err := res.AsStrSlice()
	if err != nil || len(list) != 5 {
		return meta{}, err
	}
	at, noPosition := strconv.ParseUint(list[1], 10, 64)
	h, noHash := domain.ParseHash(list[2])
	last, noLast := layout.ParseID(list[3])
	if errors.Join(noPosition, noHash, noLast) != nil {
		return meta{}, nil
	}
	m = meta{epoch: list[0], place: place{at: projections.Checkpoint{Position: domain.Position(at), Hash: h}, last: last}}
	m.asOf, _ = strconv.ParseInt(list[4], 10, 64)
	return m, nil
}

// readTime reads TIME, as milliseconds.
func readTime(res rueidis.RedisResult) (int64, error) {
	list, err := res.AsIntSlice()
	if err != nil || len(list) != 2 {
		return 0, errors.Join(err, errors.New("TIME was not answered"))
	}
	return list[0]*1000 + list[1]/1000, nil
}

// lastGenerated is the greatest id a stream ever had.
func lastGenerated(res rueidis.RedisResult) (layout.ID, error) {
	info, err := res.AsMap()
	if reply, ok := rueidis.IsRedisErr(err); ok && strings.Contains(reply.Error(), "no such key") {
		return layout.ID{}, nil
	}
	if err != nil {
		return layout.ID{}, err
	}
	message := info["last-generated-id"]
	text, err := message.ToString()
	if err != nil {
		return layout.ID{}, err
	}
	return layout.ParseID(text)
}

// build makes everything anew from the state, under another epoch. Readers forget what they have. Until a partition is complete its
// position is 0; a build that was interrupted is begun again, by whoever finds it.
func (s *sink) build(ctx context.Context, c rueidis.Client, reason string) (err error) {
	state := s.state()
	if state.Position == 0 {
		return errors.New("the log is empty")
	}
	epoch := fmt.Sprintf("%016x", rand.Uint64())
	lock := c.B().Set().Key(s.layout.Building()).Value(epoch).Nx().Px(buildLock).Build()
	switch err := c.Do(ctx, lock).Error(); {
	case rueidis.IsRedisNil(err):
		return errors.New("another server builds what is in it")
	case err != nil:
		return err
	}
	// Whoever gets the lock meanwhile makes the scripts of this build fail: it is for patience, not for safety.
	defer func() { err = errors.Join(err, c.Do(ctx, c.B().Del().Key(s.layout.Building()).Build()).Error()) }()
	began := time.Now()
	s.logger.Info("building what is in Redis", "reason", reason, "prefix", s.layout.Prefix, "position", state.Position)
	if err := s.clear(ctx, c, epoch); err != nil {
		return err
	}
	w, entries := s.writer(), 0
	defer w.land()
	for change := range invalidation.All(state) {
		p, o := changeOf(s.layout, change)
		if err := w.fill(ctx, p, untold(o)); err != nil {
			return err
		}
		if entries++; entries%10_000 == 0 {
			if err := c.Do(ctx, c.B().Pexpire().Key(s.layout.Building()).Milliseconds(buildLock.Milliseconds()).Build()).Error(); err != nil {
				return err
			}
		}
	}
	if err := w.send(ctx); err != nil {
		return err
	}
	at := place{at: projections.Checkpoint{LogID: s.logID, Position: state.Position, Hash: state.Hash}, last: layout.ID{Position: uint64(state.Position)}}
	var list []run
	for p := range s.layout.Partitions {
		list = append(list, run{partition: p, epoch: epoch, before: s.places[p], after: at, restart: true, kept: s.kept})
	}
	if err := s.do(ctx, list); err != nil {
		return err
	}
	s.rebuild = ""
	s.builds.Add(1)
	s.logger.Info("built what is in Redis", "entries", entries, "position", state.Position, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// clear begins an epoch with nothing in it.
func (s *sink) clear(ctx context.Context, c rueidis.Client, epoch string) error {
	ctx, cancel := context.WithTimeout(ctx, 12*patience)
	defer cancel()
	s.places = nil
	old, err := c.Do(ctx, c.B().Hget().Key(s.layout.Key()).Field(layout.LayoutGeneration).Build()).AsInt64()
	if err != nil {
		old = 0
	}
	s.generation.Store(old + 1)
	commands := rueidis.Commands{c.B().Hset().Key(s.layout.Key()).FieldValue().
		FieldValue(layout.LayoutVersion, layout.Version).FieldValue(layout.LayoutPartitions, strconv.Itoa(s.layout.Partitions)).
		FieldValue(layout.LayoutLog, s.logID).FieldValue(layout.LayoutEpoch, epoch).
		FieldValue(layout.LayoutGeneration, strconv.FormatInt(old+1, 10)).Build()}
	nothing := place{}
	for p := range s.layout.Partitions {
		commands = append(commands,
			// With the epoch nothing written for the one before passes any more, whoever writes it.
			c.B().Hset().Key(s.layout.Meta(p)).FieldValue().FieldValue(layout.MetaEpoch, epoch).FieldValue(layout.MetaPosition, "0").
				FieldValue(layout.MetaHash, "").FieldValue(layout.MetaLast, nothing.last.String()).Build(),
			c.B().Hdel().Key(s.layout.Meta(p)).Field(layout.MetaAsOf).Build(),
			c.B().Del().Key(s.layout.Stream(p)).Build())
	}
	for _, res := range c.DoMulti(ctx, commands...) {
		if err := res.Error(); err != nil {
			return err
		}
	}
	clear(s.knows)
	clear(s.claims)
	s.epoch, s.places = epoch, make([]place, s.layout.Partitions)
	w := s.writer()
	defer w.land()
	err = eachName(ctx, c, s.layout.Prefix+":{*}:*", func(name string) error { return s.remove(ctx, c, w, name) })
	if err != nil {
		return err
	}
	return w.send(ctx)
}

// eachName visits the names that look like a pattern, on all servers.
func eachName(ctx context.Context, c rueidis.Client, pattern string, visit func(name string) error) error {
	for _, node := range c.Nodes() {
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if _, refused := rueidis.IsRedisErr(err); refused || err != nil && len(c.Nodes()) == 1 {
			return fmt.Errorf("what is left there can't be looked for: %w", err)
		}
		if err != nil || len(role) == 0 || text(role[0]) != "master" {
			continue // it follows one, or holds nothing of a cluster that was just written to
		}
		for cursor := uint64(0); ; {
			some, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern).Count(1000).Build()).AsScanEntry()
			if err != nil {
				return err
			}
			for _, name := range some.Elements {
				if err := visit(name); err != nil {
					return err
				}
			}
			if cursor = some.Cursor; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// Remove removes all that is under a prefix, when no server keeps it any more.
func Remove(ctx context.Context, url, ca, prefix string) error {
	conn, err := connectionTo(url, ca)
	if err != nil {
		return err
	}
	defer conn.close()
	c, err := conn.get()
	if err != nil {
		return err
	}
	return eachName(ctx, c, prefix+":*", func(name string) error { return c.Do(ctx, c.B().Unlink().Key(name).Build()).Error() })
}

// remove removes what another epoch left. What is of a partition goes only as long as nobody began another one.
func (s *sink) remove(ctx context.Context, c rueidis.Client, w *writer, name string) error {
	p, rest, ok := s.layout.PartitionOf(name)
	switch {
	case !ok || p < s.layout.Partitions && (rest == "stream" || rest == "meta"):
		return nil
	case p >= s.layout.Partitions:
		return c.Do(ctx, c.B().Unlink().Key(name).Build()).Error()
	}
	return w.fill(ctx, p, op{how: howRemove, name: name, id: layout.ID{Position: 1}})
}

func text(m rueidis.RedisMessage) string {
	s, _ := m.ToString()
	return s
}
