package accesslog

import (
	"time"

	eventv1 "github.com/tenurehq/tenure/proto/gen/tenure/event/v1"
)

const (
	// period is how long alike records are counted together.
	period = time.Minute
	// verbatim is how many alike records of a period are kept one by one; the rest becomes one, which has their number.
	verbatim = 5
	// perCaller is how many kinds of records one caller has in a period, and tracked how many all have together. What is beyond is lost:
	// that much nobody reads, and somebody means to fill the disk.
	perCaller = 100
	tracked   = 4096
)

// alike is what records have in common that are counted together.
type alike struct {
	caller, procedure, code, reason                   string
	org, project, user, key, group, offer, invitation string
	kind                                              eventv1.AccessRecord_Kind
}

func (r Record) alike() alike {
	a := r.Stored
	if r.Stranger {
		// Who has no credentials varies what is asked, not who is refused.
		return alike{caller: r.Caller, code: a.Code, kind: a.Kind}
	}
	return alike{
		r.Caller, a.Procedure, a.Code, a.ErrorReason,
		a.OrgId, a.ProjectId, a.UserId, a.KeyId, a.GroupId, a.OfferId, a.InvitationId, a.Kind,
	}
}

// repeats counts the records of a period.
type repeats struct {
	began   time.Time
	counted map[alike]*repeat
	callers map[string]int
}

type repeat struct {
	seen int
	// last came beyond those kept one by one.
	last Record
}

// verdict is what becomes of a record.
type verdict int

const (
	keep verdict = iota
	count
	lose
)

func (r *repeats) judge(record Record) verdict {
	if r.counted == nil {
		r.counted, r.callers = map[alike]*repeat{}, map[string]int{}
	}
	what := record.alike()
	c := r.counted[what]
	if c == nil {
		if r.callers[record.Caller] >= perCaller || len(r.counted) >= tracked {
			return lose
		}
		c = &repeat{}
		r.counted[what] = c
		r.callers[record.Caller]++
	}
	if c.seen++; c.seen <= verbatim {
		return keep
	}
	c.last = record
	return count
}

// end begins a new period if one is over, or anyway, and answers the records of what was counted in the old one.
func (r *repeats) end(now time.Time, anyway bool) (summaries []Record) {
	if now.Sub(r.began) < period && !anyway {
		return nil
	}
	for _, c := range r.counted {
		if c.seen > verbatim {
			c.last.Stored.Count = uint32(c.seen - verbatim)
			summaries = append(summaries, c.last)
		}
	}
	*r = repeats{began: now}
	return summaries
}
