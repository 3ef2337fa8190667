package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// paged lists organizations, with an empty page before each full one, as QueryAudit may have them.
type paged struct {
	tenurev1connect.UnimplementedOrgServiceHandler
	orgs int
}

func (p paged) ListOrgs(_ context.Context, req *tenurev1.ListOrgsRequest) (*tenurev1.ListOrgsResponse, error) {
	turn, from := 0, 0
	if req.PageToken != "" {
		if _, err := fmt.Sscanf(req.PageToken, "%d.%d", &turn, &from); err != nil {
			return nil, err
		}
	}
	res := &tenurev1.ListOrgsResponse{}
	if turn++; turn%2 == 0 {
		for ; from < p.orgs && len(res.Orgs) < int(req.PageSize); from++ {
			res.Orgs = append(res.Orgs, &tenurev1.Org{Id: strconv.Itoa(from)})
		}
	}
	if from < p.orgs {
		res.NextPageToken = fmt.Sprintf("%d.%d", turn, from)
	}
	return res, nil
}

// A list is read to its end, through empty pages, or exactly as far as was asked, and then says that there is more. Fails if
// something is missing or twice there, or the end is told as one where it is none: tried with the first page taken for all,
// with an empty page taken for the end, and with pages of full size up to a limit.
func TestListsAreWhole(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle(tenurev1connect.NewOrgServiceHandler(paged{orgs: 2500}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := &Connection{URL: server.URL, HTTP: server.Client(), header: http.Header{}}
	for _, test := range []struct {
		limit, want int
		more        bool
	}{{0, 2500, false}, {1, 1, true}, {1500, 1500, true}, {2500, 2500, false}, {9999, 2500, false}} {
		method := methodOf("OrgService.ListOrgs")
		res, err := c.all(t.Context(), method, newMessage(method.Input()), test.limit, startProgress(nil, ""))
		if err != nil {
			t.Fatal(err)
		}
		list := res.(*tenurev1.ListOrgsResponse)
		if len(list.Orgs) != test.want || (list.NextPageToken != "") != test.more {
			t.Errorf("limit %d: %d organizations, more is %q", test.limit, len(list.Orgs), list.NextPageToken)
		}
		for i, o := range list.Orgs {
			if o.Id != strconv.Itoa(i) {
				t.Fatalf("limit %d: at place %d stands %s", test.limit, i, o.Id)
			}
		}
	}
}
