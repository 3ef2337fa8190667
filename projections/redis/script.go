package redis

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/projections"
	"github.com/tenurehq/tenure/projections/invalidation"
	"github.com/tenurehq/tenure/projections/redis/layout"
)

// apply is the only way anything of a partition is written, in one step: what changed, the entries, and the checkpoint. It writes
// nothing unless the partition is where the caller believes it is, so that nothing that follows on a failed one in a pipeline passes.
//
// The first write is one that a full Redis refuses; it asks no more once a script has written. Nothing behind it can be refused.
//
// KEYS: stream, meta, and the name of each change's entry. ARGV: epoch, last id and position that are expected; position, hash and last
// id ("": of the changes) to be written; as_of (""; as it was); the id up to which the stream is trimmed ("": not); entries kept; seconds
// a tombstone is kept. Then of each change: how, id, scope, id of the thing, public key, entry.
const apply = `
local at = redis.call('HMGET', KEYS[2], 'epoch', 'last', 'position')
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] or at[3] ~= ARGV[3] then
  return 'GAP ' .. (at[1] or '') .. ' ' .. (at[3] or '')
end
local last = ARGV[2]
for i = 3, #KEYS do
  local a = 10 + (i - 3) * 6
  local how, id, scope, value = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 6]
  if how == 'remove' then
    redis.call('UNLINK', KEYS[i])
  else
    if how ~= 'fill' and how ~= 'bury' then
      local fields = {'prev', last, 'scope', scope}
      if scope ~= 'instance' then
        table.insert(fields, 'id') table.insert(fields, ARGV[a + 4])
      end
      if scope == 'key' then
        table.insert(fields, 'public') table.insert(fields, ARGV[a + 5])
      elseif scope == 'project' or scope == 'org' then
        table.insert(fields, 'entry') table.insert(fields, value)
      end
      redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[9], id, unpack(fields))
      last = id
    end
    if value ~= '' then
      -- What is filled in is all there is of it, and may take the place of what another history left.
      local old, newer = '', true
      if how ~= 'fill' and how ~= 'bury' then old = redis.pcall('GETRANGE', KEYS[i], 0, 60) end
      if type(old) == 'string' then
        local p, n = string.match(old, '^{"version":"(%d+)%-(%d+)"')
        if p then
          local q, m = string.match(id, '^(%d+)%-(%d+)$')
          p, n, q, m = tonumber(p), tonumber(n), tonumber(q), tonumber(m)
          newer = q > p or q == p and m > n
        end
      end
      if newer and (how == 'revoke' or how == 'bury') then
        redis.call('SET', KEYS[i], value, 'EX', ARGV[10])
      elseif newer then
        redis.call('SET', KEYS[i], value)
      end
    end
  end
end
if ARGV[6] ~= '' then last = ARGV[6] end
redis.call('HSET', KEYS[2], 'position', ARGV[4], 'hash', ARGV[5], 'last', last)
if ARGV[7] ~= '' then
  local old, new, now = tonumber(redis.call('HGET', KEYS[2], 'as_of') or 0), tonumber(ARGV[7]), redis.call('TIME')
  now = now[1] * 1000 + now[2] / 1000
  -- One that lies in the future was written before the clock was set back, or is of another server's.
  if new <= now and (new > old or old > now) then
    redis.call('HSET', KEYS[2], 'as_of', ARGV[7])
  end
end
if ARGV[8] ~= '' then redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[8]) end
return 'OK'
`

var applySHA = func() string {
	sum := sha1.Sum([]byte(apply))
	return hex.EncodeToString(sum[:])
}()

// How a change is written.
const (
	howSet    = "set"    // told in the stream
	howRevoke = "revoke" // told, and a tombstone
	howAll    = "all"    // told; there is no entry
	howFill   = "fill"   // not told: part of something greater
	howBury   = "bury"   // a tombstone, not told
	howRemove = "remove"
)

// op is one change of a script.
type op struct {
	how, name         string
	id                layout.ID
	scope, of, public string
	value             string
	change            *invalidation.Change // what value is made of
	superseded        bool                 // another of the same script writes the entry
}

// place is where a partition stands.
type place struct {
	at   projections.Checkpoint
	last layout.ID
}

// run is one call of the script.
type run struct {
	partition     int
	epoch         string
	before, after place
	restart       bool // after.last is written, rather than that of the changes
	asOf          int64
	here          time.Time // asOf by the clock of this server
	trim          layout.ID
	kept          int
	ops           []op
}

// command is the call. It brings the whole script if Redis may not know it yet.
func (r run) command(c rueidis.Client, l layout.Layout, whole bool) rueidis.Completed {
	keys := make([]string, 0, 2+len(r.ops))
	keys = append(keys, l.Stream(r.partition), l.Meta(r.partition))
	args := make([]string, 0, 10+6*len(r.ops))
	args = append(args, r.epoch, r.before.last.String(), position(r.before.at.Position), position(r.after.at.Position), hash(r.after.at))
	if r.restart {
		args = append(args, r.after.last.String())
	} else {
		args = append(args, "")
	}
	if r.asOf != 0 {
		args = append(args, strconv.FormatInt(r.asOf, 10))
	} else {
		args = append(args, "")
	}
	if r.trim != (layout.ID{}) {
		args = append(args, r.trim.String())
	} else {
		args = append(args, "")
	}
	args = append(args, strconv.Itoa(r.kept), strconv.Itoa(int(tombstones.Seconds())))
	for _, o := range r.ops {
		keys = append(keys, o.name)
		args = append(args, o.how, o.id.String(), o.scope, o.of, o.public, o.value)
	}
	if whole {
		return c.B().Eval().Script(apply).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	}
	return c.B().Evalsha().Sha1(applySHA).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

func position(p domain.Position) string { return strconv.FormatUint(uint64(p), 10) }

// hash of a checkpoint; the one in front of the log has none.
func hash(c projections.Checkpoint) string {
	if c.Position == 0 {
		return ""
	}
	return c.Hash.String()
}

// gap is the answer of a script that found a partition elsewhere.
type gap struct {
	partition int
	epoch     string
	position  domain.Position
	wanted    run
}

func (g *gap) Error() string {
	return fmt.Sprintf("partition %d is at %d of epoch %q, not at %d of %q", g.partition, g.position, g.epoch, g.wanted.before.at.Position, g.wanted.epoch)
}

// answer reads what a script answered.
func (r run) answer(res rueidis.RedisResult) error {
	text, err := res.ToString()
	if err != nil || text == "OK" {
		return err
	}
	found := strings.Split(text, " ")
	if len(found) != 3 || found[0] != "GAP" {
		return fmt.Errorf("the script answered %q", text)
	}
	at, _ := strconv.ParseUint(found[2], 10, 64)
	return &gap{partition: r.partition, epoch: found[1], position: domain.Position(at), wanted: r}
}
