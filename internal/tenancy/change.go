package tenancy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is what a change does.
type Action byte

// The actions are the signs they are printed with.
const (
	Create Action = '+'
	Update Action = '~'
	Remove Action = '-'
)

// Change is one step from the present state to the wanted one.
type Change struct {
	Action Action
	// Org is the organization it is in, as the file names it; empty for the installation itself.
	Org string
	// What is it about, such as "key ingest of project app".
	What string
	// Fields say what the new thing is like, or what becomes different.
	Fields []Field

	step step
	do   func(context.Context, *applier) error
}

// Field is one value, or one that is replaced.
type Field struct{ Name, Old, New string }

// Changes are a plan, in an order that works.
type Changes struct {
	List []Change
	// Notes are what the plan does not do, and why.
	Notes []string

	// want is what it leads to, ids are those of what is there.
	want *File
	ids  map[ref]string
}

// Count tells how many things are added, changed and removed.
func (c *Changes) Count() (add, change, remove int) {
	for _, e := range c.List {
		switch e.Action {
		case Create:
			add++
		case Update:
			change++
		case Remove:
			remove++
		}
	}
	return add, change, remove
}

// MakesKeys tells whether applying the plan answers secrets.
func (c *Changes) MakesKeys() bool {
	return slices.ContainsFunc(c.List, func(e Change) bool { return e.step == stepKeys && e.Action == Create })
}

// step is when a change comes. Within an organization everything is done in this order, several organizations at once.
type step int

const (
	// The installation, before its organizations. Plans that get roomier come now, those that get tighter at the end, because
	// quotas hold for what is let in.
	stepDataPlanes step = iota
	stepPlans
	// stepNaming: the naming policy, if the present one would refuse the file's names.
	stepNaming
	stepUsers

	stepOrg
	stepRoomier
	// stepPlace lies between lifting the old residency and demanding the new one.
	stepPlace
	stepResidency
	stepRoles
	// What takes room away from nobody else goes before what needs it.
	stepRevokeKeys
	stepDropMembers
	stepDropProjects
	stepServiceAccounts
	// Owners come before the ones they replace go.
	stepOwners
	stepMembers
	// stepRenames frees names that new projects may take.
	stepRenames
	stepProjects
	stepGroups
	// Overrides need a membership, perhaps by a group.
	stepOverrides
	stepKeys
	// stepEnvironments takes environments away that keys were bound to.
	stepEnvironments
	stepDropOverrides
	stepDropGroups
	stepDropOwners
	stepDropRoles
	stepSuspendMembers
	stepTighter
	stepSuspendOrg

	// The installation, after its organizations.
	stepTighterPlans
	stepPolicy
	stepAdmins
	stepDeactivate
)

// fields collects what is new or different.
type fields []Field

// text compares a value that the file may leave alone.
func (f *fields) text(name, old string, want *string) bool {
	if want == nil || *want == old {
		return false
	}
	*f = append(*f, Field{name, shown(old), shown(*want)})
	return true
}

func (f *fields) flag(name string, old, want *bool) bool {
	if want == nil || *want == isTrue(old) {
		return false
	}
	*f = append(*f, Field{name, fmt.Sprint(isTrue(old)), fmt.Sprint(*want)})
	return true
}

func (f *fields) list(name string, old, want Section[string]) bool {
	if want == nil || slices.Equal(old, want) {
		return false
	}
	*f = append(*f, Field{name, shown(strings.Join(old, ", ")), shown(strings.Join(want, ", "))})
	return true
}

func (f *fields) pairs(name string, old, want map[string]string) bool {
	if want == nil || maps.Equal(old, want) {
		return false
	}
	*f = append(*f, Field{name, shownPairs(old), shownPairs(want)})
	return true
}

func (f *fields) expiry(name string, old, want *Expiry) bool {
	if want == nil || old.equal(want) {
		return false
	}
	*f = append(*f, Field{name, old.String(), want.String()})
	return true
}

func isTrue(b *bool) bool { return b != nil && *b }

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// shown is a value as people read it: quoted if it is not plain.
func shown(text string) string {
	if text == "" {
		return `""`
	}
	if quoted := fmt.Sprintf("%+q", text); len(quoted) != len(text)+2 {
		return fmt.Sprintf("%q", text)
	}
	return text
}

func shownPairs(m map[string]string) string {
	var list []string
	for _, k := range sortedKeys(m) {
		list = append(list, k+"="+m[k])
	}
	return shown(strings.Join(list, ", "))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
