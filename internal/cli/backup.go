package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/backup"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// backupAttempts is how often in a row the log is asked for without a message coming, and how often the keys are.
const backupAttempts = 3

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup --out DIR", Short: "Copy log and personal keys into a directory while the server runs, checked as they come",
		Long: `Copy log and personal keys into a directory while the server runs. Every message is checked against the hash of the one before
it. Into a directory that has a backup of the same log already, only what is new is copied, and it must continue what is there;
of the personal keys every run makes a new copy and deletes the former one, so that whoever was erased does not live on in it.
Until a run has come to its end the former backup stays as it is. It takes an instance admin.

Without pepper and sealing key no API key verifies and no personal data can be read again. They are files on the servers' disks
and never travel: on the server's own machine --data-dir takes them in, with the hash of the admin key. Otherwise keep them
apart; the command says by which ids a restore will know them.`,
		Example: "  tenure backup --out /backup/tenure --data-dir /var/lib/tenure\n  tenure backup --out ./tenure-backup",
		Args:    cobra.NoArgs, GroupID: "client",
	}
	ConnectionFlags(cmd)
	outputFlag(cmd)
	out := cmd.Flags().String("out", "", "`directory` of the backup; made if it is missing")
	dataDir := cmd.Flags().String("data-dir", "", "take in the settings of the server with this data `directory`")
	pepper := cmd.Flags().String("pepper-file", "", "its pepper, if that is elsewhere")
	sealingKey := cmd.Flags().String("sealing-key-file", "", "its sealing key, if that is elsewhere")
	_ = cmd.MarkFlagDirname("out")
	_ = cmd.MarkFlagDirname("data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		format, err := outputOf(cmd)
		if err != nil {
			return err
		}
		if *out == "" {
			return usagef(cmd, "--out is missing: the directory to copy into")
		}
		var settings *backup.Settings
		if *dataDir != "" {
			settings = backup.SettingsIn(*dataDir)
			if *pepper != "" {
				settings.Pepper = *pepper
			}
			if *sealingKey != "" {
				settings.SealingKey = *sealingKey
			}
		} else if *pepper != "" || *sealingKey != "" {
			return usagef(cmd, "--pepper-file and --sealing-key-file say where settings are that --data-dir takes in")
		}
		l, err := openLog(cmd)
		if err != nil {
			return err
		}
		b := &backingUp{reader: l, cmd: cmd, began: time.Now()}
		if err := b.run(cmd.Context(), *out, settings); err != nil {
			return err
		}
		return b.report(format, *out)
	}
	return cmd
}

// backingUp is a run of `tenure backup`.
type backingUp struct {
	*reader
	cmd   *cobra.Command
	began time.Time
	// copied counts new messages, took is the time for them.
	copied   uint64
	took     time.Duration
	manifest backup.Manifest
}

func (b *backingUp) run(ctx context.Context, dir string, settings *backup.Settings) (err error) {
	run, err := backup.Begin(dir, b.cmd.Root().Version, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	asking, answer := connect.NewClientContext(ctx)
	instance, err := b.instance.GetInstance(asking, &tenurev1.GetInstanceRequest{})
	if err != nil {
		return b.conn.at(err)
	}
	// Behind one address there may be several servers, and what one has told of the others must have too.
	b.conn.header.Del("Tenure-Consistency")
	b.conn.header.Set("Tenure-Token", answer.ResponseHeader().Get("Tenure-Token"))
	if err := run.Start(instance.LogId, domain.Position(instance.Position)); err != nil {
		return err
	}
	if err := b.log(ctx, run, instance.Position); err != nil {
		return err
	}
	b.took = time.Since(b.began)
	// Behind the log: whoever is in the copy of it, and not erased by now, has a key.
	if err := b.keys(ctx, run); err != nil {
		return err
	}
	b.manifest, err = run.Finish()
	return err
}

// log copies the messages up to a position. A connection that is lost on the way is made again.
func (b *backingUp) log(ctx context.Context, run *backup.Run, to uint64) error {
	from := uint64(run.From())
	if from > 1 {
		from++ // the first that is new
	}
	progress := StartPassage(b.cmd.ErrOrStderr(), "Copying the log", from-1, to)
	defer progress.End()
	seen := from - 1
	defer func() { b.copied = seen + 1 - from }()
	for failed := 0; ; {
		err := b.receive(ctx, &tenurev1.ReadLogRequest{From: uint64(run.From()), To: to}, func(m *tenurev1.ReadLogResponse) error {
			if sum := sha256.Sum256(m.Data); hex.EncodeToString(m.Hash) != hex.EncodeToString(sum[:]) {
				return fmt.Errorf("%w: the server says that position %d has the hash %x; its bytes have %x", errChain, m.Position, m.Hash, sum)
			}
			if err := run.Add(domain.Position(m.Position), m.Data); err != nil {
				return err
			}
			if m.Position > seen {
				seen, failed = m.Position, 0
			}
			progress.At(m.Position)
			return nil
		})
		if failed++; err == nil || failed == backupAttempts || !lost(err) || ctx.Err() != nil {
			return b.conn.at(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(attemptWait << failed):
		}
	}
}

// lost tells whether an error is of the connection, or says to go on elsewhere.
func lost(err error) bool {
	var wire *connect.Error
	return errors.As(err, &wire) && (passing(err) || infoOf(wire) == nil)
}

// keys copies the personal keys, all of them anew if the connection is lost: nobody knows where it was.
func (b *backingUp) keys(ctx context.Context, run *backup.Run) error {
	progress := StartPassage(b.cmd.ErrOrStderr(), "Copying personal keys", 0, 0)
	defer progress.End()
	for failed := 1; ; failed++ {
		err := b.allKeys(ctx, run, progress)
		if err == nil || failed == backupAttempts || !lost(err) || ctx.Err() != nil {
			return b.conn.at(err)
		}
		run.DropKeys()
		select {
		case <-ctx.Done():
		case <-time.After(attemptWait << failed):
		}
	}
}

func (b *backingUp) allKeys(ctx context.Context, run *backup.Run, progress *Passage) error {
	stream, err := b.client.ReadPersonalKeys(ctx, &tenurev1.ReadPersonalKeysRequest{})
	if err != nil {
		return err
	}
	defer stream.Close()
	for n := uint64(1); stream.Receive(); n++ {
		if err := run.AddKey(stream.Msg().Subject, stream.Msg().WrappedKey); err != nil {
			return err
		}
		progress.At(n)
	}
	return stream.Err()
}

func (b *backingUp) report(format, dir string) error {
	m, w := b.manifest, b.cmd.OutOrStdout()
	kept, err := backup.Open(dir)
	if err != nil {
		return err
	}
	settings := kept.Settings()
	if format != people {
		return printPlain(w, format, map[string]any{
			"log_id": m.LogID, "position": m.Position, "hash": m.Hash, "copied": b.copied, "seconds": b.took.Seconds(),
			"personal_keys": m.Keys.Count, "pepper": m.Pepper, "sealing_key": m.SealingKey, "settings": settings != nil,
		})
	}
	fmt.Fprintf(w, "%d messages copied in %s (%.0f/s), and %d personal keys.\n",
		b.copied, b.took.Round(time.Millisecond), float64(b.copied)/b.took.Seconds(), m.Keys.Count)
	fmt.Fprintf(w, "Log %s up to %d:%s\n", m.LogID, m.Position, m.Hash)
	if settings == nil {
		_, err = fmt.Fprintf(w, "Not in it are the servers' files %s (id %s) and %s (id %s). Keep them apart: without them\n"+
			"no key verifies and nothing personal opens. On the server's machine --data-dir takes them in.\n", backup.PepperName, m.Pepper, backup.SealingKeyName, m.SealingKey)
		return err
	}
	if err := kept.CheckSettings(); err != nil {
		warn(b.cmd.ErrOrStderr(), "the settings in the backup are of an earlier run and not good any more: %v; copy them again with --data-dir", err)
	}
	_, err = fmt.Fprintf(w, "Settings are in %s.\n", filepath.Join(dir, "settings"))
	return err
}
