package eventstore

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tenurehq/tenure/domain"
)

// SnapshotBucketName is the JetStream object store that holds the snapshots of an external log, shared by all servers.
const SnapshotBucketName = "TENURE_SNAPSHOTS"

// SnapshotBucket is a SnapshotStore in a JetStream object store, made when it is first written to.
type SnapshotBucket struct {
	js       jetstream.JetStream
	replicas int
}

// NewSnapshotBucket is the store behind a connection; replicas is for making it.
func NewSnapshotBucket(conn *nats.Conn, replicas int) (*SnapshotBucket, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	return &SnapshotBucket{js, max(replicas, 1)}, nil
}

// List implements SnapshotStore.
func (b *SnapshotBucket) List(ctx context.Context) (list []domain.Position, err error) {
	objects, err := b.js.ObjectStore(ctx, SnapshotBucketName)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	infos, err := objects.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	for _, info := range infos {
		if at, ok := snapshotPosition(info.Name); ok {
			list = append(list, at)
		}
	}
	slices.SortFunc(list, func(a, b domain.Position) int { return int(int64(b) - int64(a)) })
	return list, err
}

// Write implements SnapshotStore: an object can be seen when all of it is stored.
func (b *SnapshotBucket) Write(ctx context.Context, at domain.Position, write func(io.Writer) error) error {
	objects, err := b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: SnapshotBucketName, Description: "Tenure's snapshots of its log: shortcuts, safe to delete", Replicas: b.replicas,
	})
	if err != nil {
		return err
	}
	from, to := io.Pipe()
	go func() { to.CloseWithError(write(to)) }()
	_, err = objects.Put(ctx, jetstream.ObjectMeta{Name: snapshotName(at)}, from)
	return errors.Join(err, from.CloseWithError(io.ErrClosedPipe))
}

// Open implements SnapshotStore.
func (b *SnapshotBucket) Open(ctx context.Context, at domain.Position) (io.ReadCloser, int64, error) {
	objects, err := b.js.ObjectStore(ctx, SnapshotBucketName)
	if err != nil {
		return nil, 0, err
	}
	object, err := objects.Get(ctx, snapshotName(at))
	if err != nil {
		return nil, 0, err
	}
	info, err := object.Info()
	if err != nil {
		return nil, 0, errors.Join(err, object.Close())
	}
	return object, int64(info.Size), nil
}

// Delete implements SnapshotStore.
func (b *SnapshotBucket) Delete(ctx context.Context, at domain.Position) error {
	objects, err := b.js.ObjectStore(ctx, SnapshotBucketName)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := objects.Delete(ctx, snapshotName(at)); !errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	return nil
}
