package eventstore

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// ErrDamaged is returned by StartEmbedded when stored bytes are not as they were written. Nothing was changed by the attempt.
var ErrDamaged = errors.New("stored data are damaged")

// checkStore reads all that the embedded server has stored, before the server does. The server would not refuse damaged
// bytes: after an unclean end it cuts the file at the first of them and goes on with a shorter log, whose positions are
// then given away again; after a clean one it answers that the position does not exist.
//
// Its other files are checked by the server, which makes them anew from the messages.
//
// What a write left behind that was interrupted is no damage: nobody was told of it, and the server cuts it off rightly. In an
// expendable stream it is let cut off damage as well.
func checkStore(cfg EmbeddedConfig) error {
	streams, err := filepath.Glob(filepath.Join(cfg.Dir, "jetstream", "*", "streams", "*"))
	if err != nil {
		return err
	}
	for _, stream := range streams {
		err := checkBlocks(stream)
		if errors.Is(err, ErrDamaged) && slices.Contains(cfg.Expendable, filepath.Base(stream)) {
			cfg.Logger.Error("stream "+filepath.Base(stream)+" goes on without what lies behind the damage in its file", "error", err)
			err = cutDamage(stream)
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w; nothing was touched: put back the file as it was, or a backup of the directory", filepath.Base(stream), err)
		}
	}
	return nil
}

// cutDamage makes the server look at the blocks of a stream as after an unclean end. After a clean one it believes its index, and
// then nothing is read of what is written behind the damage.
func cutDamage(stream string) error {
	err := os.Remove(filepath.Join(stream, "msgs", "index.db"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func checkBlocks(stream string) error {
	files, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk"))
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(blockNumber(a), blockNumber(b)) })
	var before uint64 // the newest sequence so far
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		b := block{data: data, hash: newRecordHash(fmt.Sprintf("%s-%d", filepath.Base(stream), blockNumber(file)))}
		at := 0
		for at < len(data) {
			size, sequence := b.record(at)
			if size == 0 {
				break
			}
			at, before = at+size, max(before, sequence)
		}
		if at < len(data) && !(i == len(files)-1 && b.interrupted(at)) {
			return fmt.Errorf("%w: position %d, at byte %d of %s", ErrDamaged, before+1, at, file)
		}
	}
	return nil
}

func blockNumber(file string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".blk"))
	return n
}

// block is a file of messages. A record in it is: 4 bytes of its length, whose top bit tells that there are headers, 8 of
// sequence, 8 of time, 2 of the subject's length, the subject, 4 of the headers' length and the headers, if there are any,
// the message, and 8 of a hash of sequence, time, subject, headers and message.
type block struct {
	data []byte
	hash *recordHash
}

const (
	recordHead     = 22
	recordSum      = 8
	recordLimit    = 32 << 20
	recordHeaders  = 1 << 31
	recordSequence = 1<<62 - 1 // above are marks of deletion
)

// record is the size and sequence of the record at an offset; 0 if what is there is none.
func (b *block) record(at int) (size int, sequence uint64) {
	if len(b.data)-at < recordHead+recordSum {
		return 0, 0
	}
	length := binary.LittleEndian.Uint32(b.data[at:])
	size = int(length &^ recordHeaders)
	if size < recordHead+recordSum || size > min(recordLimit, len(b.data)-at) || !b.whole(b.data[at:at+size], length&recordHeaders != 0) {
		return 0, 0
	}
	return size, binary.LittleEndian.Uint64(b.data[at+4:]) & recordSequence
}

// whole tells whether a record is as it was written, given its length and whether it has headers.
func (b *block) whole(record []byte, headers bool) bool {
	head, rest := record[:recordHead], record[recordHead:len(record)-recordSum]
	subject := int(binary.LittleEndian.Uint16(head[20:]))
	if subject > len(rest) {
		return false
	}
	name, body := rest[:subject], rest[subject:]
	if headers {
		if len(body) < 4 {
			return false
		}
		// Where the headers end is not in the hash.
		end := int64(binary.LittleEndian.Uint32(body))
		if body = body[4:]; end > int64(len(body)) || !bytes.HasSuffix(body[:end], []byte("\r\n\r\n")) {
			return false
		}
	}
	return b.hash.of(head[4:20], name, body) == string(record[len(record)-recordSum:])
}

// interrupted tells whether what begins at an offset, and is no record, is what an interrupted write leaves: a record
// without its end, or with zeros there.
func (b *block) interrupted(at int) bool {
	rest := b.data[at:]
	if len(rest) < recordHead+recordSum || len(bytes.TrimRight(rest, "\x00")) < len(rest)-2*recordSum {
		return true
	}
	length := binary.LittleEndian.Uint32(rest) &^ recordHeaders
	if int64(length) <= int64(len(rest)) || b.whole(rest, true) || b.whole(rest, false) {
		return false // all of it is there
	}
	for next := at + 1; next < len(b.data); next++ {
		if size, _ := b.record(next); size > 0 {
			return false // others were written behind it
		}
	}
	return true
}

// recordHash is the checksum that the server uses, keyed by what the bytes belong to.
type recordHash struct{ key [sha256.Size]byte }

func newRecordHash(of string) *recordHash { return &recordHash{sha256.Sum256([]byte(of))} }

func (h *recordHash) of(parts ...[]byte) string {
	digest, err := highwayhash.NewDigest64(h.key[:])
	if err != nil {
		panic(err) // the key has the wrong size
	}
	for _, part := range parts {
		_, _ = digest.Write(part)
	}
	return string(digest.Sum(nil))
}
