package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

func placedOn(org domain.OrgID, plane domain.DataPlaneID) []domain.Command {
	return with(planes, domain.PlaceOrg{Org: org, DataPlane: plane})
}

func changedTo(region string, dedicated bool) domain.RegisterDataPlane {
	return domain.RegisterDataPlane{ID: "eu", BaseURL: "https://eu", Region: region, Dedicated: dedicated, KeyScheme: "hmac"}
}

const euText = `base_url:"https://eu" region:"eu-west-1" key_scheme:"hmac"`

// dataPlaneRows fail if within takes "europe" for a part of "eu", if a data plane without a region is inside any residency, or if
// the organizations on a data plane are not asked when it changes: tried, for each.
var dataPlaneRows = []row{
	{
		name: "a new one", by: instance,
		when: domain.RegisterDataPlane{ID: "eu", BaseURL: "https://eu", Region: "eu-west-1", Dedicated: true, KeyScheme: "langfuse"},
		then: `data_plane_registered{data_plane_id:"eu" new{base_url:"https://eu" region:"eu-west-1" dedicated:true key_scheme:"langfuse"}}`,
	}, {
		name: "another address", given: planes, by: instance,
		when: domain.RegisterDataPlane{ID: "eu", BaseURL: "https://eu2", Region: "eu-west-1", KeyScheme: "hmac"},
		then: `data_plane_registered{data_plane_id:"eu" old{` + euText + `} new{base_url:"https://eu2" region:"eu-west-1" key_scheme:"hmac"}}`,
	}, {
		name: "dedicated to the one on it", given: placedOn("acme", "eu"), by: instance, when: changedTo("eu-west-1", true),
		then: `data_plane_registered{data_plane_id:"eu" old{` + euText + `} new{` + euText + ` dedicated:true}}`,
	}, {
		name: "to a region inside the residency of who is on it", given: with(placedOn("acme", "eu"), resident("acme", "eu")), by: instance, when: changedTo("eu", false),
		then: `data_plane_registered{data_plane_id:"eu" old{` + euText + `} new{base_url:"https://eu" region:"eu" key_scheme:"hmac"}}`,
	}, {
		name: "to another region, who was on it being deleted", given: append(with(placedOn("acme", "eu"), resident("acme", "eu")), deleted("acme")...), by: instance, when: changedTo("us", true),
		then: `data_plane_registered{data_plane_id:"eu" old{` + euText + `} new{base_url:"https://eu" region:"us" dedicated:true key_scheme:"hmac"}}`,
	},
	{name: "what it is", given: placedOn("acme", "eu"), by: instance, when: changedTo("eu-west-1", false)},
	{
		name: "to a region outside the residency of who is on it", given: with(placedOn("acme", "eu"), resident("acme", "eu")), by: instance, when: changedTo("us", false),
		code: domain.CodePrecondition, reason: domain.ResidencyViolated,
	}, {
		name: "to no region, with a residency on it", given: with(placedOn("acme", "eu"), resident("acme", "eu")), by: instance, when: changedTo("", false),
		code: domain.CodePrecondition, reason: domain.ResidencyViolated,
	}, {
		name: "dedicated, serving two", given: with(placedOn("acme", "eu"), domain.PlaceOrg{Org: "globex", DataPlane: "eu"}), by: instance, when: changedTo("eu-west-1", true),
		code: domain.CodePrecondition, reason: domain.DataPlaneShared,
	},
	{name: "by an OWNER", by: user("olga"), when: changedTo("eu", false), code: domain.CodeDenied, reason: domain.PermissionDenied},
	{name: "by a key that holds less than all", given: partialKeys, by: instanceKey("p_root"), when: changedTo("eu", false), code: domain.CodeDenied, reason: domain.KeyCeiling},

	{name: "on a data plane", given: planes, by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"us"}}`},
	{name: "elsewhere", given: placedOn("acme", "us"), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}, then: `org_ids:"acme" org_placed{data_plane_id{old:"us" new:"solo"}}`},
	{name: "nowhere", given: placedOn("acme", "us"), by: instance, when: domain.PlaceOrg{Org: "acme"}, then: `org_ids:"acme" org_placed{data_plane_id{old:"us"}}`},
	{name: "beside another one", given: placedOn("globex", "us"), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"us"}}`},
	{name: "in the very region", given: with(planes, resident("acme", "us")), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"us"}}`},
	{name: "in a part of the region", given: with(planes, resident("acme", "eu")), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "eu"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"eu"}}`},
	{name: "in place of one that was deleted", given: append(placedOn("globex", "solo"), deleted("globex")...), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"solo"}}`},
	{name: "in place of one that was placed elsewhere", given: with(placedOn("globex", "solo"), domain.PlaceOrg{Org: "globex"}), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}, then: `org_ids:"acme" org_placed{data_plane_id{new:"solo"}}`},
	{name: "where it is", given: placedOn("acme", "solo"), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}},
	{name: "nowhere, being nowhere", by: instance, when: domain.PlaceOrg{Org: "acme"}},
	{name: "on one that is not there", by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "eu"}, code: domain.CodeNotFound, reason: domain.DataPlaneNotFound},
	{name: "on one that serves another alone", given: placedOn("globex", "solo"), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}, code: domain.CodePrecondition, reason: domain.DataPlaneDedicated},
	{name: "outside its residency", given: with(planes, resident("acme", "eu")), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, code: domain.CodePrecondition, reason: domain.ResidencyViolated},
	{name: "in a wider region than its residency", given: with(planes, resident("acme", "eu-west-1")), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "solo"}, code: domain.CodePrecondition, reason: domain.ResidencyViolated},
	{
		name: "in a region whose name begins alike", by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "europe"},
		given: []domain.Command{domain.RegisterDataPlane{ID: "europe", BaseURL: "https://europe", Region: "europe"}, resident("acme", "eu")},
		code:  domain.CodePrecondition, reason: domain.ResidencyViolated,
	},
	{name: "on one without a region, with a residency", given: with(planes, resident("acme", "eu")), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "anywhere"}, code: domain.CodePrecondition, reason: domain.ResidencyViolated},
	{name: "of a deleted organization", given: append(planes[:len(planes):len(planes)], deleted("acme")...), by: instance, when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, code: domain.CodePrecondition, reason: domain.OrgDeleted},
	{name: "by its OWNER", given: planes, by: user("olga"), when: domain.PlaceOrg{Org: "acme", DataPlane: "us"}, code: domain.CodeDenied, reason: domain.PermissionDenied},

	{name: "with a residency", by: user("sam"), when: domain.CreateOrg{ID: "new", OrgName: "New", Residency: "eu"}, then: `org_ids:"new" user_id:"sam" org_created{name:"New" residency:"eu"}`},
	{name: "a residency, by an ADMIN", given: placedOn("acme", "eu"), by: user("adam"), when: resident("acme", "eu"), then: `org_ids:"acme" org_updated{residency{new:"eu"}}`},
	{name: "a residency of one that was not placed", by: user("adam"), when: resident("acme", "mars"), then: `org_ids:"acme" org_updated{residency{new:"mars"}}`},
	{name: "no residency", given: with(planes, resident("acme", "eu")), by: user("adam"), when: resident("acme", ""), then: `org_ids:"acme" org_updated{residency{old:"eu"}}`},
	{name: "the residency it has", given: with(planes, resident("acme", "eu")), by: user("adam"), when: resident("acme", "eu")},
	{name: "a residency elsewhere than its data plane", given: placedOn("acme", "us"), by: user("adam"), when: resident("acme", "eu"), code: domain.CodePrecondition, reason: domain.ResidencyViolated},
	{name: "a residency, its data plane having no region", given: placedOn("acme", "anywhere"), by: user("adam"), when: resident("acme", "eu"), code: domain.CodePrecondition, reason: domain.ResidencyViolated},
}

// Who is on a data plane follows from placements and deletions. Fails if a deletion does not free its data plane: tried.
func TestDataPlaneOrgs(t *testing.T) {
	t.Parallel()
	both := with(placedOn("acme", "us"), domain.PlaceOrg{Org: "globex", DataPlane: "us"})
	for _, c := range []struct {
		given []domain.Command
		want  int
	}{
		{planes, 0}, {both, 2}, {with(both, domain.PlaceOrg{Org: "acme", DataPlane: "eu"}), 1}, {append(both[:len(both):len(both)], deleted("acme")...), 1},
		{append(both[:len(both):len(both)], suspended("acme")...), 2},
		{with(both, domain.RegisterDataPlane{ID: "us", BaseURL: "https://new", Region: "us", KeyScheme: "hmac"}), 2},
	} {
		s := given(t, c.given...)
		if d, ok := s.DataPlane("us"); !ok || d.Orgs.Len() != c.want {
			t.Errorf("after %v: on it are %q, want %d", c.given[len(planes):], d.Orgs.Keys(), c.want)
		}
	}
}
