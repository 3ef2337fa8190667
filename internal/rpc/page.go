package rpc

import (
	"encoding/base64"
	"iter"
	"strings"

	"github.com/tenurehq/tenure/domain"
)

const defaultPage = 100

// cursor reads a page token of a kind of list: the key behind which the page begins, "" for the first.
func cursor(kind, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if key, ok := strings.CutPrefix(string(b), kind+":"); err == nil && ok && key != "" {
		return key, nil
	}
	return "", domain.Invalidf("page_token", domain.InvalidField, "is not of this list; send the next_page_token of the page before, as it was")
}

func pageToken(kind, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + key))
}

func pageSize(n int32) int {
	if n == 0 {
		return defaultPage
	}
	return int(n)
}

// page collects the next views of a table, as far as show has one, and the token of the page behind it.
func page[K ~string, V, T any](kind string, all func(after K) iter.Seq2[K, V], size int32, token string, show func(K, V) (T, bool)) ([]T, string, error) {
	after, err := cursor(kind, token)
	if err != nil {
		return nil, "", err
	}
	var views []T
	last := K("")
	for k, v := range all(K(after)) {
		view, ok := show(k, v)
		if !ok {
			continue
		}
		if len(views) == pageSize(size) {
			return views, pageToken(kind, string(last)), nil
		}
		views, last = append(views, view), k
	}
	return views, "", nil
}
