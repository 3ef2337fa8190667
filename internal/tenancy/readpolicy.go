package tenancy

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

// creators are the words of a file for who may create organizations.
var creators = map[string]tenurev1.OrgCreatorsPolicy_Who{
	"everyone":        tenurev1.OrgCreatorsPolicy_WHO_EVERYONE,
	"listed":          tenurev1.OrgCreatorsPolicy_WHO_LISTED,
	"instance_admins": tenurev1.OrgCreatorsPolicy_WHO_INSTANCE_ADMINS,
}

// unknownAddress stands for an address of which the server keeps the digest alone, because nobody has an account with it.
const unknownAddress = "<unknown>"

func (r *reader) readPolicy(ctx context.Context) error {
	// New people get what the policy gives.
	if !r.everything() && (r.file == nil || r.file.Policy == nil && len(r.present.Users) == len(r.file.Users)) {
		return nil
	}
	res, err := r.instance.GetPolicy(ctx, &tenurev1.GetPolicyRequest{})
	if err != nil {
		return err
	}
	naming, who := res.Policy.GetNaming(), res.Policy.GetOrgCreators()
	p := &Policy{
		Naming: &Naming{
			OrgPattern: naming.GetOrgPattern(), OrgForm: naming.GetOrgForm(), ProjectPattern: naming.GetProjectPattern(),
			ProjectForm: naming.GetProjectForm(), WarnOnly: naming.GetWarnOnly(),
		},
		OrgCreators: &OrgCreators{Who: "everyone"},
		SignUp:      Section[SignUp]{},
	}
	for word, value := range creators {
		if value == who.GetWho() {
			p.OrgCreators.Who = word
		}
	}
	for _, e := range who.GetEmails() {
		if e == unknownAddress {
			p.OrgCreators.hidden++
		} else {
			p.OrgCreators.Emails = append(p.OrgCreators.Emails, e)
		}
	}
	slices.Sort(p.OrgCreators.Emails)
	for _, g := range res.Policy.GetSignUp().GetGrants() {
		if !slices.ContainsFunc(r.orgs, func(o *tenurev1.Org) bool { return o.Id == g.OrgId }) {
			r.gone("organization " + g.OrgId)
			continue
		}
		named := SignUp{Organization: r.nameOf(g.OrgId), Role: g.Role}
		if g.ProjectId != "" {
			project, err := r.projects.GetProject(ctx, &tenurev1.GetProjectRequest{ProjectId: g.ProjectId})
			switch {
			case err != nil && connect.CodeOf(err) != connect.CodeNotFound:
				return err
			case err != nil || project.Project.OrgId != g.OrgId || project.Project.Status == tenurev1.Status_STATUS_DELETED:
				r.gone("project " + g.ProjectId)
			default:
				named.Project, named.ProjectRole = project.Project.Name, g.ProjectRole
			}
		}
		p.SignUp = append(p.SignUp, named)
	}
	r.present.Policy = p
	return nil
}

// gone notes what the server passes over when somebody signs up.
func (r *reader) gone(what string) {
	r.present.notes = append(r.present.notes, "policy: sign_up names "+what+", which is gone, and is left out")
}

// nameOf is the name of an organization, or its id where the name would not say which.
func (r *reader) nameOf(id string) string {
	name := id
	for _, o := range r.orgs {
		if o.Id == id {
			name = o.Name
		}
	}
	for _, o := range r.orgs {
		if o.Id != id && (o.Name == name || o.Id == name) {
			return id
		}
	}
	return name
}
