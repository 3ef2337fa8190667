package domain_test

import (
	"slices"

	"github.com/tenurehq/tenure/domain"
)

// hiddenNounRows are hiddenRows for what came with groups, roles, invitations, offers, plans, data planes, admins and service
// accounts: from every kind of stranger, whatever state the place is in.
var hiddenNounRows = func() (rows []row) {
	add := func(what string, given []domain.Command, by domain.Actor, reason domain.Reason, id string, commands ...domain.Command) {
		for _, c := range commands {
			rows = append(rows, row{
				name: what, given: given, by: by, after: hour, when: c, code: domain.CodeNotFound, reason: reason, hides: id,
			})
		}
	}
	nouns := slices.Concat(customRoles, accounts, linked, planes, []domain.Command{
		team(domain.Viewer, domain.Viewer, "vic"), invite("inv_org", "nora", "acme", "", domain.Viewer, ""), invite("inv_web", "nora", "", "web", "", domain.Viewer),
		offer("web", "globex"), domain.OfferTransfer{ID: "xfr2", Project: "app", Target: "empty"}, domain.DefinePlan{ID: "pro"},
		domain.GrantInstanceAdmin{User: "mia"}, domain.CreateKey{Minted: minted("k_bot"), User: "bot"}, domain.ImportKey{Minted: slow("k_slow"), Org: "acme"},
	})
	orgCommands := []domain.Command{
		domain.SuspendMember{Org: "acme", User: "mia"}, domain.ResumeMember{Org: "acme", User: "mia"}, domain.LeaveOrg{Org: "acme"},
		domain.DefineRole{Org: "acme", Role: "New"}, domain.UpdateRole{Org: "acme", Role: "Editor", Description: new("!")}, domain.DeleteRole{Org: "acme", Role: "Editor"},
		domain.CreateGroup{ID: "new", Org: "acme", GroupName: "New"}, invite("inv", "sam", "acme", "", domain.Viewer, ""),
		domain.CreateServiceAccount{ID: "new", Org: "acme"}, domain.SetPlan{Org: "acme", Plan: "pro"}, domain.PlaceOrg{Org: "acme", DataPlane: "us"},
		domain.ImportKey{Minted: minted("k"), Org: "acme"}, domain.CreateKey{Minted: minted("k"), Org: "acme"},
	}
	projectCommands := []domain.Command{
		invite("inv", "sam", "", "web", "", domain.Viewer), offer("web", "globex"), domain.ImportKey{Minted: minted("k"), Project: "web"},
	}
	groupCommands := []domain.Command{
		domain.UpdateGroup{ID: "team", GroupName: new("Mine")}, domain.UpdateGroup{ID: "team", Add: []domain.UserID{"sam"}}, domain.DeleteGroup{ID: "team"},
	}
	invitationCommands := func(id domain.InvitationID) []domain.Command {
		return []domain.Command{domain.ResendInvitation{ID: id, TokenHash: []byte("token 2")}, domain.RevokeInvitation{ID: id}}
	}
	keyCommands := func(id domain.KeyID) []domain.Command {
		return []domain.Command{
			domain.UpdateKey{ID: id, Note: new("!")}, domain.RotateKey{ID: id, Successor: minted("k")}, domain.RevokeKey{ID: id},
		}
	}
	accountCommands := []domain.Command{
		domain.UpdateUser{ID: "bot", ClearName: true}, domain.DeactivateUser{ID: "bot"}, domain.EraseUser{ID: "bot"}, domain.LinkIdentity{ID: "bot"},
		domain.CreateKey{Minted: minted("k"), User: "bot"}, domain.ImportKey{Minted: minted("k"), User: "bot"}, domain.GrantInstanceAdmin{User: "bot"},
	}
	personCommands := []domain.Command{
		domain.GrantInstanceAdmin{User: "mia"}, domain.RevokeInstanceAdmin{User: "mia"}, link("mia", "x"), unlink("mia", "m"), domain.ImportKey{Minted: minted("k"), User: "mia"},
	}
	answers := []domain.Command{domain.AcceptTransfer{ID: "xfr"}, domain.DeclineTransfer{ID: "xfr"}}
	strangers := []domain.Actor{user("sam"), user("gary"), user("bot2"), orgKey("k_globex", "globex"), projectKey("k_app", "app"), pat("k_gary", "gary")}
	nouns = append(nouns, domain.CreateKey{Minted: minted("k_globex"), Org: "globex"}, domain.CreateKey{Minted: minted("k_gary"), User: "gary"})
	for _, by := range strangers {
		who := "hidden from " + by.KindName() + " " + by.ID() + " " + string(by.Key)
		for state, more := range map[string][]domain.Command{"": nil, ", suspended": suspended("acme"), ", deleted": deleted("acme")} {
			world := append(nouns[:len(nouns):len(nouns)], more...)
			add(who+state, world, by, domain.OrgNotFound, "acme", orgCommands...)
			add(who+state, world, by, domain.ProjectNotFound, "web", projectCommands...)
			add(who+state, world, by, domain.GroupNotFound, "team", groupCommands...)
			add(who+state, world, by, domain.InvitationNotFound, "inv_org", invitationCommands("inv_org")...)
			add(who+state, world, by, domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
			add(who+state, world, by, domain.KeyNotFound, "k_bot", keyCommands("k_bot")...)
			add(who+state, world, by, domain.KeyNotFound, "k_slow", keyCommands("k_slow")...)
			add(who+state, world, by, domain.UserNotFound, "bot", accountCommands...)
			add(who+state, world, by, domain.UserNotFound, "mia", personCommands...)
			add(who+state, world, by, domain.OfferNotFound, "xfr", domain.CancelTransfer{ID: "xfr"})
		}
		add(who+", its project deleted", with(nouns, domain.DeleteProject{ID: "web"}), by, domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
	}
	for _, by := range []domain.Actor{user("sam"), user("adam"), orgKey("k_acme", "acme"), projectKey("k_web", "web"), user("bot")} {
		add("hidden from "+by.String()+", who has no part in the target", nouns, by, domain.OfferNotFound, "xfr", answers...)
		add("hidden from "+by.String()+", who has no part in either", nouns, by, domain.OfferNotFound, "xfr2", domain.CancelTransfer{ID: "xfr2"},
			domain.AcceptTransfer{ID: "xfr2"}, domain.DeclineTransfer{ID: "xfr2"})
	}
	// Who is inside an organization does not see what is inside a project there, nor people.
	blocked := with(nouns, domain.GrantRole{Project: "web", User: "ivan", Role: domain.None}, override("vic", domain.None, never))
	add("hidden from who is blocked", blocked, user("vic"), domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
	add("hidden from who is blocked", blocked, user("vic"), domain.ProjectNotFound, "web", projectCommands...)
	add("hidden from who is blocked by a group", append(customRoles[:2:2], team("", domain.None, "vic"), invite("inv_web", "nora", "", "web", "", domain.Viewer)),
		user("vic"), domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
	quiet := with(nouns, memberSuspended("acme", "vic"))
	add("hidden from who is suspended", quiet, user("vic"), domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
	add("hidden from who is suspended", quiet, user("vic"), domain.ProjectNotFound, "web", projectCommands...)
	add("hidden from who holds NONE", nouns, user("nora"), domain.InvitationNotFound, "inv_web", invitationCommands("inv_web")...)
	add("hidden from an OWNER", nouns, user("olga"), domain.UserNotFound, "mia", personCommands...)
	gone := append(nouns[:len(nouns):len(nouns)], expiringMember("acme", "nora"))
	add("hidden from who is a member no more", gone, user("nora"), domain.GroupNotFound, "team", groupCommands...)
	add("hidden from who is a member no more", gone, user("nora"), domain.InvitationNotFound, "inv_org", invitationCommands("inv_org")...)
	add("hidden from who is a member no more", gone, user("nora"), domain.UserNotFound, "bot", accountCommands...)
	left := []domain.Command{team(domain.Viewer, "", "sam"), domain.DeleteGroup{ID: "team"}}
	add("hidden from who was a member by a group", left, user("sam"), domain.OrgNotFound, "acme", orgCommands...)
	return rows
}()
