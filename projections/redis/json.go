package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenurehq/tenure/projections/redis/layout"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// entryText is an entry's text: JSON as protojson would write it with the names of the protos, which took half of a projector's time. The
// version comes first, so that the script finds it without reading the rest. message is one of the four entries.
func entryText(version layout.ID, message any) string {
	b := make(jsonText, 0, 512)
	b = append(append(append(b, `{"version":"`...), version.String()...), '"')
	switch e := message.(type) {
	case *tenurev1.KeyEntry:
		b.text("id", e.Id)
		b.text("public_key", e.PublicKey)
		b.text("project_id", e.ProjectId)
		b.text("org_id", e.OrgId)
		b.text("user_id", e.UserId)
		b.list("org_permissions", e.OrgPermissions)
		b.list("project_permissions", e.ProjectPermissions)
		b.list("environments", e.Environments)
		b.list("allowed_networks", e.AllowedNetworks)
		b.time("expires_at", e.ExpiresAt)
		b.text("reason", e.Reason)
	case *tenurev1.ProjectEntry:
		b.text("id", e.Id)
		b.text("org_id", e.OrgId)
		b.text("reason", e.Reason)
	case *tenurev1.OrgEntry:
		b.text("id", e.Id)
		b.text("reason", e.Reason)
		b.text("plan_id", e.PlanId)
		b.text("data_plane_id", e.DataPlaneId)
	case *tenurev1.UserEntry:
		b.text("id", e.Id)
		b.text("reason", e.Reason)
		if e.InstanceAdmin {
			b.name("instance_admin")
			b = append(b, "true"...)
		}
		objects(&b, "holdings", e.Holdings, func(h *tenurev1.Holding) {
			b.text("org_id", h.OrgId)
			b.text("project_id", h.ProjectId)
			b.text("role", h.Role)
			if h.Set != 0 {
				b.name("set")
				b = strconv.AppendUint(b, uint64(h.Set), 10)
			}
			b.time("expires_at", h.ExpiresAt)
			b.text("by", h.By)
		})
		objects(&b, "sets", e.Sets, func(s *tenurev1.HeldPermissions) {
			b.list("org_permissions", s.OrgPermissions)
			b.list("project_permissions", s.ProjectPermissions)
		})
	default:
		panic(fmt.Sprintf("an entry of no known kind: %T", message))
	}
	return string(append(b, '}'))
}

// jsonText is JSON under way. Fields that are empty are left out.
type jsonText []byte

func (b *jsonText) name(name string) {
	if last := (*b)[len(*b)-1]; last != '{' {
		*b = append(*b, ',')
	}
	*b = append(append(append(*b, '"'), name...), `":`...)
}

func (b *jsonText) text(name, value string) {
	if value != "" {
		b.name(name)
		b.quote(value)
	}
}

func (b *jsonText) time(name string, at *timestamppb.Timestamp) {
	if at != nil {
		b.text(name, at.AsTime().Format(time.RFC3339Nano))
	}
}

func (b *jsonText) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	b.name(name)
	for i, v := range values {
		*b = append(*b, "[,"[min(i, 1)])
		b.quote(v)
	}
	*b = append(*b, ']')
}

func objects[M any](b *jsonText, name string, list []M, write func(M)) {
	if len(list) == 0 {
		return
	}
	b.name(name)
	for i, m := range list {
		*b = append(append(*b, "[,"[min(i, 1)]), '{')
		write(m)
		*b = append(*b, '}')
	}
	*b = append(*b, ']')
}

func (b *jsonText) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			quoted, _ := json.Marshal(s) // a string always can be
			*b = append(*b, quoted...)
			return
		}
	}
	*b = append(append(append(*b, '"'), s...), '"')
}
