package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// listKeys reads the keys of a principal that are still good. One that was rotated is counted to its successor.
func (r *orgReader) listKeys(ctx context.Context, req *tenurev1.ListKeysRequest) (Section[Key], error) {
	list, err := all(ctx, r.keys.ListKeys,
		func(token string) *tenurev1.ListKeysRequest {
			return &tenurev1.ListKeysRequest{ProjectId: req.ProjectId, OrgId: req.OrgId, UserId: req.UserId, PageSize: pageSize, PageToken: token}
		},
		func(res *tenurev1.ListKeysResponse) ([]*tenurev1.Key, string) { return res.Keys, res.NextPageToken })
	if err != nil {
		return nil, err
	}
	live := map[string]*tenurev1.Key{}
	for _, k := range list {
		if k.Status == tenurev1.KeyStatus_KEY_STATUS_ACTIVE {
			live[k.Id] = k
		}
	}
	retiring := map[string][]string{}
	keys := Section[Key]{}
	for _, k := range list {
		if live[k.Id] == nil {
			continue
		}
		last := k
		for live[last.SuccessorKeyId] != nil {
			last = live[last.SuccessorKeyId]
		}
		if last != k {
			retiring[last.Id] = append(retiring[last.Id], k.Id)
			continue
		}
		keys = append(keys, keyOf(k))
	}
	for i := range keys {
		keys[i].retiring = retiring[keys[i].id]
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Name+"\x00"+a.id, b.Name+"\x00"+b.id) })
	for i := range keys {
		k := &keys[i]
		same := i > 0 && keys[i-1].Name == k.Name || i+1 < len(keys) && keys[i+1].Name == k.Name
		switch {
		case k.Name == "":
			k.unclear = "it has no name"
		case same:
			k.unclear = "another has the same name"
		case len(k.Permissions) == 0:
			k.unclear = "it holds nothing"
		}
	}
	return keys, nil
}

func keyOf(k *tenurev1.Key) Key {
	key := Key{
		Name: k.Name, Note: given(k.Note), Permissions: sorted(k.Permissions), ExpiresAt: expiryOf(k.ExpiresAt), id: k.Id,
	}
	// "auditLogs:read" at both levels reads as one.
	key.Permissions = slices.Compact(key.Permissions)
	if len(k.Environments) > 0 {
		key.Environments = sorted(k.Environments)
	}
	if len(k.AllowedNetworks) > 0 {
		key.AllowedNetworks = sorted(k.AllowedNetworks)
	}
	return key
}

// unlisted is what is said about a key that can't be in a file.
func (k Key) unlisted(holder string) string {
	name := k.Name
	if name == "" {
		name = "without a name"
	}
	return fmt.Sprintf("key %s of %s (%s) is left alone: %s", name, holder, k.id, k.unclear)
}
