package domain

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A snapshot is a State as bytes, to be read by the same build only: every field of every entity in turn, found by reflection,
// so that a new field can't be forgotten. SchemaHash changes with whatever would make one build misread another's.
//
// Ids are written once and referred to by number from then on, so that a loaded state shares their memory as a folded one does.
// What can be told from the rest, as which key has a public part, is left out.

// errSnapshot is what ReadSnapshot answers for bytes that are no snapshot.
var errSnapshot = errors.New("the snapshot can't be read")

// SchemaHash tells snapshots of builds whose State differs from each other.
var SchemaHash = sync.OnceValue(func() Hash {
	var text strings.Builder
	for _, part := range (&State{}).parts() {
		describe(&text, reflect.TypeOf(part).Elem(), map[reflect.Type]bool{})
	}
	// Sets of permissions are written as they are in memory, by place in the catalog.
	fmt.Fprint(&text, snapshotFormat, tenures, strength)
	return sha256.Sum256([]byte(text.String()))
})

// snapshotFormat changes with how this file writes, and with what it leaves out.
const snapshotFormat = 1

func describe(text *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprintf(text, "%s %s;", t, t.Kind())
	if seen[t] {
		return
	}
	seen[t] = true
	if table, ok := reflect.Zero(t).Interface().(interface{ types() []reflect.Type }); ok {
		for _, t := range table.types() {
			describe(text, t, seen)
		}
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			fmt.Fprintf(text, "%s %q ", t.Field(i).Name, t.Field(i).Tag)
			describe(text, t.Field(i).Type, seen)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(text, t.Elem(), seen)
	}
}

// WriteSnapshot writes the state for ReadSnapshot.
func (s *State) WriteSnapshot(w io.Writer) error {
	out := newSnapshotWriter(w)
	own, retired := s.Catalog().entries[len(tenures):], s.Catalog().retired
	write(out, &own)
	write(out, &retired)
	for _, part := range s.parts() {
		if !s.derived(part) {
			v := reflect.ValueOf(part).Elem()
			codecOf(v.Type()).write(out, v)
		}
	}
	return out.flush()
}

// ReadSnapshot reads what WriteSnapshot of the same build wrote.
func ReadSnapshot(r io.Reader) (s *State, err error) {
	in := &snapshotReader{from: r}
	defer func() {
		// Bytes that were not written so must not bring the server down.
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("%w: %v", errSnapshot, p)
		}
		if in.err != nil {
			s, err = nil, fmt.Errorf("%w: %w", errSnapshot, in.err)
		}
	}()
	s = &State{}
	var own []CatalogEntry
	var retired PermissionSet
	read(in, &own)
	read(in, &retired)
	if len(own) > 0 {
		s.catalog = newCatalog(append(slices.Clone(tenures), own...), retired)
	}
	for _, part := range s.parts() {
		if !s.derived(part) && in.err == nil {
			v := reflect.ValueOf(part).Elem()
			codecOf(v.Type()).read(in, v)
		}
	}
	s.derive()
	return s, nil
}

// derived tells which parts are left out.
func (s *State) derived(part any) bool {
	return part == any(&s.emails) || part == any(&s.publicKeys) || part == any(&s.verifiers)
}

func (s *State) derive() {
	s.emails, s.publicKeys, s.verifiers = s.emails.sized(s.users.Len()), s.publicKeys.sized(s.keys.Len()), s.verifiers.sized(s.keys.Len())
	for id, u := range s.users.All() {
		if u.EmailDigest != "" {
			s.emails = s.emails.With(u.EmailDigest, id)
		}
	}
	for id, k := range s.keys.All() {
		s.publicKeys = s.publicKeys.With(k.Public, id)
		s.verifiers = s.verifiers.With(k.Verifier, id)
	}
	s.emails, s.publicKeys, s.verifiers = s.emails.loaded(), s.publicKeys.loaded(), s.verifiers.loaded()
}

func write[T any](out *snapshotWriter, v *T) {
	codecOf(reflect.TypeFor[T]()).write(out, reflect.ValueOf(v).Elem())
}
func read[T any](in *snapshotReader, v *T) {
	codecOf(reflect.TypeFor[T]()).read(in, reflect.ValueOf(v).Elem())
}

// codec writes and reads the values of one type.
type codec struct {
	write func(*snapshotWriter, reflect.Value)
	read  func(*snapshotReader, reflect.Value)
}

var codecs sync.Map // of reflect.Type

func codecOf(t reflect.Type) *codec {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec)
	}
	c, _ := codecs.LoadOrStore(t, newCodec(t))
	return c.(*codec)
}

// inSnapshot is what knows how to write itself; readSnapshot has a pointer receiver.
type inSnapshot interface {
	writeSnapshot(*snapshotWriter)
	readSnapshot(*snapshotReader)
}

func newCodec(t reflect.Type) *codec {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[inSnapshot]()) {
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { addressed(v).(inSnapshot).writeSnapshot(out) },
			func(in *snapshotReader, v reflect.Value) { v.Addr().Interface().(inSnapshot).readSnapshot(in) },
		}
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { out.time(v.Interface().(time.Time)) },
			func(in *snapshotReader, v reflect.Value) {
				if at := in.time(); !at.IsZero() {
					*v.Addr().Interface().(*time.Time) = at
				}
			},
		}
	case reflect.TypeFor[netip.Prefix]():
		return &codec{
			func(out *snapshotWriter, v reflect.Value) {
				b, _ := v.Interface().(netip.Prefix).MarshalBinary()
				out.string(string(b))
			},
			func(in *snapshotReader, v reflect.Value) {
				in.check(v.Addr().Interface().(*netip.Prefix).UnmarshalBinary([]byte(in.string())))
			},
		}
	}
	switch t.Kind() {
	case reflect.String:
		if t != reflect.TypeFor[string]() {
			return sharedString
		}
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { out.string(v.String()) },
			func(in *snapshotReader, v reflect.Value) { v.SetString(in.string()) },
		}
	case reflect.Bool:
		return &codec{
			func(out *snapshotWriter, v reflect.Value) {
				if v.Bool() {
					out.uint(1)
				} else {
					out.uint(0)
				}
			},
			func(in *snapshotReader, v reflect.Value) { v.SetBool(in.uint() != 0) },
		}
	case reflect.Int, reflect.Int64:
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { out.uint(uint64(v.Int())) },
			func(in *snapshotReader, v reflect.Value) { v.SetInt(int64(in.uint())) },
		}
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { out.uint(v.Uint()) },
			func(in *snapshotReader, v reflect.Value) { v.SetUint(in.uint()) },
		}
	case reflect.Pointer:
		of := codecOf(t.Elem())
		return &codec{
			func(out *snapshotWriter, v reflect.Value) { of.write(out, v.Elem()) },
			func(in *snapshotReader, v reflect.Value) {
				v.Set(reflect.New(t.Elem()))
				of.read(in, v.Elem())
			},
		}
	case reflect.Struct:
		return structCodec(t)
	case reflect.Array:
		of := codecOf(t.Elem())
		return &codec{
			func(out *snapshotWriter, v reflect.Value) {
				for i := range t.Len() {
					of.write(out, v.Index(i))
				}
			},
			func(in *snapshotReader, v reflect.Value) {
				for i := range t.Len() {
					of.read(in, v.Index(i))
				}
			},
		}
	case reflect.Slice:
		return sliceCodec(t)
	case reflect.Map:
		return mapCodec
	}
	panic(fmt.Sprintf("snapshot: a %s can't be written", t))
}

// sharedString is for ids, and for fields with the tag snapshot:"shared".
var sharedString = &codec{
	func(out *snapshotWriter, v reflect.Value) { out.shared(v.String()) },
	func(in *snapshotReader, v reflect.Value) { v.SetString(in.shared()) },
}

func structCodec(t reflect.Type) *codec {
	fields := make([]*codec, t.NumField())
	for i := range fields {
		if fields[i] = codecOf(t.Field(i).Type); t.Field(i).Tag.Get("snapshot") == "shared" {
			fields[i] = sharedString
		}
	}
	return &codec{
		func(out *snapshotWriter, v reflect.Value) {
			for i, c := range fields {
				c.write(out, v.Field(i))
			}
		},
		func(in *snapshotReader, v reflect.Value) {
			for i, c := range fields {
				c.read(in, v.Field(i))
			}
		},
	}
}

func sliceCodec(t reflect.Type) *codec {
	of := codecOf(t.Elem())
	return &codec{
		func(out *snapshotWriter, v reflect.Value) {
			out.uint(uint64(v.Len()))
			for i := range v.Len() {
				of.write(out, v.Index(i))
			}
		},
		func(in *snapshotReader, v reflect.Value) {
			for n := in.uint(); n > 0 && in.err == nil; n-- {
				v.Set(reflect.Append(v, reflect.Zero(t.Elem())))
				of.read(in, v.Index(v.Len()-1))
			}
		},
	}
}

// mapCodec is for metadata.
var mapCodec = &codec{
	func(out *snapshotWriter, v reflect.Value) {
		m := v.Interface().(map[string]string)
		out.uint(uint64(len(m)))
		for k, v := range m {
			out.string(k)
			out.string(v)
		}
	},
	func(in *snapshotReader, v reflect.Value) {
		n := in.uint()
		if n == 0 {
			return
		}
		m := map[string]string{}
		for ; n > 0 && in.err == nil; n-- {
			k := in.string()
			m[k] = in.string()
		}
		v.Set(reflect.ValueOf(m))
	},
}

func addressed(v reflect.Value) any {
	if !v.CanAddr() {
		at := reflect.New(v.Type())
		at.Elem().Set(v)
		v = at.Elem()
	}
	return v.Addr().Interface()
}

func (t *Table[K, V]) writeSnapshot(out *snapshotWriter) {
	keys := codecOf(reflect.TypeFor[K]())
	values := codecOf(reflect.TypeFor[V]())
	out.uint(uint64(t.Len()))
	var p pair[K, V]
	k, v := reflect.ValueOf(&p.key).Elem(), reflect.ValueOf(&p.value).Elem()
	for p.key, p.value = range t.All() {
		keys.write(out, k)
		values.write(out, v)
	}
}

func (t *Table[K, V]) readSnapshot(in *snapshotReader) {
	n := in.uint()
	if n == 0 {
		return
	}
	keys := codecOf(reflect.TypeFor[K]())
	values := codecOf(reflect.TypeFor[V]())
	*t = t.sized(int(min(n, 1<<20)))
	var p pair[K, V]
	k, v := reflect.ValueOf(&p.key).Elem(), reflect.ValueOf(&p.value).Elem()
	for ; n > 0 && in.err == nil; n-- {
		p = pair[K, V]{}
		keys.read(in, k)
		values.read(in, v)
		*t = t.With(p.key, p.value)
	}
	*t = t.loaded()
}

// types are what a schema must tell of a table.
func (Table[K, V]) types() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[K](), reflect.TypeFor[V]()}
}
