package domain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// snapshotWriter writes the values that everything else is made of.
type snapshotWriter struct {
	w       *bufio.Writer
	numbers map[string]uint64 // of shared strings, from 1
	scratch [binary.MaxVarintLen64]byte
}

func newSnapshotWriter(w io.Writer) *snapshotWriter {
	return &snapshotWriter{w: bufio.NewWriterSize(w, 1<<18), numbers: map[string]uint64{}}
}

// flush answers the first error of any write.
func (out *snapshotWriter) flush() error { return out.w.Flush() }

func (out *snapshotWriter) uint(n uint64) {
	_, _ = out.w.Write(out.scratch[:binary.PutUvarint(out.scratch[:], n)])
}

func (out *snapshotWriter) string(s string) {
	out.uint(uint64(len(s)))
	_, _ = out.w.WriteString(s)
}

// shared writes a string that may come again: its number, and itself the first time.
func (out *snapshotWriter) shared(s string) {
	number, ok := out.numbers[s]
	if !ok {
		number = uint64(len(out.numbers) + 1)
		out.numbers[s] = number
	}
	out.uint(number)
	if !ok {
		out.string(s)
	}
}

// time writes 0 for no time, else one more than the nanoseconds, and the seconds.
func (out *snapshotWriter) time(t time.Time) {
	if t.IsZero() {
		out.uint(0)
		return
	}
	out.uint(uint64(t.Nanosecond()) + 1)
	out.uint(uint64(t.Unix()))
}

// snapshotReader reads what snapshotWriter wrote. After an error it reads zeros.
type snapshotReader struct {
	from   io.Reader
	have   []byte // read and not yet used
	buffer []byte
	known  []string
	err    error
}

const (
	readSize = 1 << 18
	// stringMax is more than any string of a commit can have.
	stringMax = 64 << 20
)

// fill makes at least n bytes available, if there are so many.
func (in *snapshotReader) fill(n int) bool {
	if len(in.have) >= n {
		return true
	}
	if in.err != nil {
		return false
	}
	if size := max(readSize, n); len(in.buffer) < size {
		buffer := make([]byte, size)
		in.have = buffer[:copy(buffer, in.have)]
		in.buffer = buffer
	} else {
		in.have = in.buffer[:copy(in.buffer, in.have)]
	}
	read, err := io.ReadAtLeast(in.from, in.buffer[len(in.have):], n-len(in.have))
	in.have = in.buffer[:len(in.have)+read]
	if len(in.have) < n {
		in.check(err)
		return false
	}
	return true
}

func (in *snapshotReader) check(err error) {
	if in.err == nil {
		in.err = err
	}
}

func (in *snapshotReader) uint() uint64 {
	if len(in.have) > 0 && in.have[0] < 0x80 {
		n := in.have[0]
		in.have = in.have[1:]
		return uint64(n)
	}
	for n := 1; n <= binary.MaxVarintLen64; n++ {
		if !in.fill(n) {
			return 0
		}
		if in.have[n-1] < 0x80 {
			v, used := binary.Uvarint(in.have)
			if used <= 0 {
				break
			}
			in.have = in.have[used:]
			return v
		}
	}
	in.check(errors.New("a number is too large"))
	return 0
}

func (in *snapshotReader) string() string {
	n := in.uint()
	if n > stringMax {
		in.check(errors.New("a text is too long"))
		return ""
	}
	if n == 0 || !in.fill(int(n)) {
		return ""
	}
	s := string(in.have[:n])
	in.have = in.have[n:]
	return s
}

func (in *snapshotReader) shared() string {
	switch n := in.uint(); {
	case in.err != nil:
		return ""
	case n == uint64(len(in.known)+1):
		s := in.string()
		in.known = append(in.known, s)
		return s
	case n == 0 || n > uint64(len(in.known)):
		in.check(errors.New("a text is referred to that was not written"))
		return ""
	default:
		return in.known[n-1]
	}
}

func (in *snapshotReader) time() time.Time {
	nanoseconds := in.uint()
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(in.uint()), int64(nanoseconds-1)).UTC()
}
