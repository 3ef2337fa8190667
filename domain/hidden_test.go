package domain_test

import "github.com/tenurehq/tenure/domain"

// hiddenRows: what the actor can't see is refused exactly as what does not exist. Without the question of seesTarget in
// authorizeTarget, or in adminOnly, these fail: tried.
var hiddenRows = func() (rows []row) {
	blocked := []domain.Command{domain.GrantRole{Project: "web", User: "mia", Role: domain.None}}
	gone := []domain.Command{expiringMember("acme", "mia")}
	add := func(what string, given []domain.Command, by domain.Actor, reason domain.Reason, id string, commands ...domain.Command) {
		for _, c := range commands {
			rows = append(rows, row{
				name: what, given: given, by: by, after: hour, when: c, code: domain.CodeNotFound, reason: reason, hides: id,
			})
		}
	}
	orgCommands := []domain.Command{
		domain.UpdateOrg{ID: "acme", OrgName: new("Mine")}, domain.SuspendOrg{ID: "acme"}, domain.ResumeOrg{ID: "acme"},
		domain.DeleteOrg{ID: "acme"}, domain.CreateProject{ID: "new", Org: "acme", ProjectName: "New"},
		domain.GrantRole{Org: "acme", User: "sam", Role: domain.Owner}, domain.RevokeRole{Org: "acme", User: "olga"},
		domain.CreateKey{Minted: minted("k"), Org: "acme"},
	}
	projectCommands := []domain.Command{
		domain.UpdateProject{ID: "web", ProjectName: new("Mine")}, domain.DeleteProject{ID: "web"}, domain.RestoreProject{ID: "web"},
		domain.TransferProject{ID: "web", Target: "globex"}, domain.GrantRole{Project: "web", User: "sam", Role: domain.Viewer},
		domain.RevokeRole{Project: "web", User: "mia"}, domain.CreateKey{Minted: minted("k"), Project: "web"},
	}
	keyCommands := func(id domain.KeyID) []domain.Command {
		return []domain.Command{
			domain.UpdateKey{ID: id, Note: new("!")}, domain.RotateKey{ID: id, Successor: minted("k")}, domain.RevokeKey{ID: id},
		}
	}
	for _, by := range []domain.Actor{
		user("sam"), user("gary"), projectKey("k_app", "app"),
	} {
		who := "hidden from " + by.String()
		add(who, nil, by, domain.OrgNotFound, "acme", orgCommands...)
		add(who+", suspended", suspended("acme"), by, domain.OrgNotFound, "acme", orgCommands...)
		add(who+", deleted", deleted("acme"), by, domain.OrgNotFound, "acme", orgCommands...)
		add(who, nil, by, domain.ProjectNotFound, "web", projectCommands...)
		add(who+", deleted", projectDeleted("web"), by, domain.ProjectNotFound, "web", projectCommands...)
		add(who+", its organization suspended", suspended("acme"), by, domain.ProjectNotFound, "web", projectCommands...)
		add(who, nil, by, domain.KeyNotFound, "k_web", keyCommands("k_web")...)
		add(who, nil, by, domain.KeyNotFound, "k_acme", keyCommands("k_acme")...)
		add(who, nil, by, domain.KeyNotFound, "k_mia", keyCommands("k_mia")...)
		add(who, nil, by, domain.KeyNotFound, "k_root", keyCommands("k_root")...)
	}
	add("hidden from who is blocked", blocked, user("mia"), domain.ProjectNotFound, "web", projectCommands...)
	add("hidden from who is blocked", blocked, user("mia"), domain.KeyNotFound, "k_web", keyCommands("k_web")...)
	add("hidden from who holds NONE", nil, user("nora"), domain.ProjectNotFound, "web", projectCommands...)
	add("hidden from who is a member no more", gone, user("mia"), domain.OrgNotFound, "acme", orgCommands...)
	add("hidden from who is a member no more", gone, user("mia"), domain.ProjectNotFound, "web", projectCommands...)
	add("hidden from a key of another project", []domain.Command{
		domain.CreateProject{ID: "other", Org: "acme", ProjectName: "Other"}, domain.CreateKey{Minted: minted("k_other"), Project: "other"},
	}, projectKey("k_other", "other"), domain.ProjectNotFound, "web", projectCommands...)
	return rows
}()
