package backup

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

const (
	logMagic  = "TNRLOG\x00\x01"
	keysMagic = "TNRKEYS\x01"
	// maxFrame is far above any message; a longer frame is a damaged length.
	maxFrame = 64 << 20
	buffer   = 1 << 20
	// partial is behind the name of a file that is being written.
	partial = ".partial"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileHeader is the first frame of a file.
type fileHeader struct {
	LogID string `json:"log_id"`
	// From is the position of the first message, or the last one of the log that the keys were read behind.
	From uint64 `json:"from"`
}

// frameWriter writes a file that appears under its name whole and on disk, or not at all.
type frameWriter struct {
	path string
	f    *os.File
	w    *bufio.Writer
}

// createFrames begins a file. also gets the same bytes; nil for nobody.
func createFrames(path, magic string, h fileHeader, also io.Writer) (*frameWriter, error) {
	f, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	var to io.Writer = f
	if also != nil {
		to = io.MultiWriter(f, also)
	}
	w := &frameWriter{path, f, bufio.NewWriterSize(to, buffer)}
	text, err := json.Marshal(h)
	if err == nil {
		_, err = w.w.WriteString(magic)
	}
	if err == nil {
		err = w.frame(text)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// frame writes a frame of all parts.
func (w *frameWriter) frame(parts ...[]byte) error {
	var size int
	for _, p := range parts {
		size += len(p)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(size))
	sum := crc32.Checksum(head, castagnoli)
	_, _ = w.w.Write(head) // the last write answers for all
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
		_, _ = w.w.Write(p)
	}
	_, err := w.w.Write(binary.BigEndian.AppendUint32(nil, sum))
	return err
}

// finish puts the file in place, and answers its size.
func (w *frameWriter) finish() (int64, error) {
	if err := w.w.Flush(); err != nil {
		return 0, err
	}
	info, err := w.f.Stat()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(w.f.Sync(), w.f.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(w.path+partial, w.path); err != nil {
		return 0, err
	}
	return info.Size(), syncDir(filepath.Dir(w.path))
}

func (w *frameWriter) abandon() {
	_ = w.f.Close()
	_ = os.Remove(w.path + partial)
}

// writeWhole writes a small file that appears whole and on disk, or not at all, for its owner's eyes.
func writeWhole(path string, content []byte) error {
	f, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+partial, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// frameReader reads a file. Its errors say at which byte of the file.
type frameReader struct {
	f  *os.File
	r  *bufio.Reader
	at int64
}

func openFrames(path, magic string, logID string, also io.Writer) (*frameReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var from io.Reader = f
	if also != nil {
		from = io.TeeReader(f, also)
	}
	r := &frameReader{f: f, r: bufio.NewReaderSize(from, buffer)}
	if err := r.begin(magic, logID); err != nil {
		_ = f.Close()
		return nil, err
	}
	return r, nil
}

func (r *frameReader) begin(magic, logID string) error {
	got := make([]byte, len(magic))
	if _, err := io.ReadFull(r.r, got); err != nil || string(got) != magic {
		return r.damage(errors.New("it does not begin like a file of a backup"))
	}
	r.at = int64(len(magic))
	text, err := r.frame()
	if err == io.EOF {
		err = r.damage(errors.New("it ends there"))
	}
	if err != nil {
		return err
	}
	var h fileHeader
	if err := json.Unmarshal(text, &h); err != nil || h.LogID != logID {
		return r.damage(fmt.Errorf("its header is of log %q, the backup of %q", h.LogID, logID))
	}
	return nil
}

// frame is the next one; io.EOF behind the last.
func (r *frameReader) frame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, r.damage(errors.New("it ends in the middle"))
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return nil, r.damage(fmt.Errorf("a length of %d can't be right", size))
	}
	body := make([]byte, size+4)
	if _, err := io.ReadFull(r.r, body); err != nil {
		return nil, r.damage(errors.New("it ends in the middle"))
	}
	content := body[:size]
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, content)
	if binary.BigEndian.Uint32(body[size:]) != sum {
		return nil, r.damage(errors.New("the bytes are not those that were written"))
	}
	r.at += int64(len(head) + len(body))
	return content, nil
}

func (r *frameReader) damage(why error) error {
	return fmt.Errorf("%w: %s, at byte %d: %w", ErrDamaged, r.f.Name(), r.at, why)
}

func (r *frameReader) close() { _ = r.f.Close() }
