package domain

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"reflect"
	"time"
)

// Digest is the SHA-256 of everything in the state, the same on every server that folded the same log: what `demo`, rebuilt
// projections and snapshots are compared by. A field that is zero does not count, so that the digest of an old log stays what
// it was when a later build knows more fields. Every field of every entity goes into it, found by reflection, so that a new
// field can't be forgotten; a test holds State's own fields to those in parts.
func (s *State) Digest() Hash {
	c := canon{sha256.New(), s.Catalog()}
	c.value(reflect.ValueOf(s.Catalog().own()))
	for i, part := range s.parts() {
		c.field(partNames[i], reflect.ValueOf(part).Elem())
	}
	return Hash(c.Sum(nil))
}

// partNames are what parts are called in a digest.
var partNames = []string{
	"position", "hash", "time", "voids", "instance", "orgs", "projects", "users", "keys", "emails", "publicKeys",
	"verifiers", "instanceKeys", "erased", "admins", "plans", "dataPlanes", "groups", "invitations", "invited",
	"tokens", "offers", "identities", "inits", "webhooks", "memory", "memory.count", "memory.forgot",
}

// parts are pointers to all of the state but the catalog, which is told by the entries in it.
func (s *State) parts() []any {
	return []any{
		&s.Position, &s.Hash, &s.Time, &s.Voids, &s.Instance, &s.orgs, &s.projects, &s.users, &s.keys, &s.emails, &s.publicKeys,
		&s.verifiers, &s.instanceKeys, &s.erased, &s.admins, &s.plans, &s.dataPlanes, &s.groups, &s.invitations, &s.invited,
		&s.tokens, &s.offers, &s.identities, &s.inits, &s.webhooks, &s.memory.Buckets, &s.memory.Count, &s.memory.Forgot,
	}
}

// canon writes values so that different ones never read the same: everything of varying length begins with its length.
type canon struct {
	hash.Hash
	catalog *Catalog
}

// canonical is what knows how to write itself.
type canonical interface{ canonical(canon) }

func (t Table[K, V]) canonical(c canon) {
	c.uint(uint64(t.Len()))
	for _, k := range t.Keys() {
		v, _ := t.Get(k)
		c.string(string(k))
		c.value(reflect.ValueOf(v))
	}
}

// canonical writes names: a permission's place in the catalog means nothing to another build.
func (s PermissionSet) canonical(c canon) {
	for _, level := range []Level{OrgLevel, ProjectLevel} {
		names := c.catalog.NamesAt(level, s)
		c.uint(uint64(len(names)))
		for _, name := range names {
			c.string(name)
		}
	}
}

func (c canon) uint(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	c.Write(b[:])
}

func (c canon) string(s string) {
	c.uint(uint64(len(s)))
	c.Write([]byte(s))
}

// field writes a name and a value, or nothing.
func (c canon) field(name string, v reflect.Value) {
	if !empty(v) {
		c.string(name)
		c.value(v)
	}
}

// empty tells whether there is nothing in a value, however it came to be so.
func empty(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case interface{ Len() int }:
		return x.Len() == 0
	case time.Time, netip.Prefix:
		return v.IsZero()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if !empty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

func (c canon) value(v reflect.Value) {
	switch x := v.Interface().(type) {
	case canonical:
		x.canonical(c)
		return
	case time.Time:
		if x.IsZero() {
			c.string("never")
		} else {
			c.uint(uint64(x.Unix()))
			c.uint(uint64(x.Nanosecond()))
		}
		return
	case netip.Prefix:
		c.string(x.String())
		return
	}
	switch v.Kind() {
	case reflect.String:
		c.string(v.String())
	case reflect.Bool:
		if v.Bool() {
			c.uint(1)
		} else {
			c.uint(0)
		}
	case reflect.Int, reflect.Int64:
		c.uint(uint64(v.Int()))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		c.uint(v.Uint())
	case reflect.Pointer:
		c.value(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			c.field(v.Type().Field(i).Name, v.Field(i))
		}
		c.string("")
	case reflect.Slice, reflect.Array:
		c.uint(uint64(v.Len()))
		for i := range v.Len() {
			c.value(v.Index(i))
		}
	case reflect.Map:
		t := Table[string, string]{}
		for it := v.MapRange(); it.Next(); {
			t = t.With(it.Key().String(), it.Value().String())
		}
		t.canonical(c)
	default:
		panic(fmt.Sprintf("digest: a %s has no canonical form", v.Type()))
	}
}
