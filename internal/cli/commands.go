package cli

// noun is what a group of commands is about.
type noun struct {
	name, service string
	// about is the service's comment in the proto if empty.
	about string
}

var nouns = []noun{
	{name: "org", service: "OrgService"},
	{name: "project", service: "ProjectService"},
	{name: "member", service: "MemberService"},
	{name: "invite", service: "InvitationService"},
	{name: "role", service: "RoleService"},
	{name: "group", service: "GroupService"},
	{name: "user", service: "UserService"},
	{name: "key", service: "KeyService"},
	{name: "access", service: "AccessService"},
	{name: "audit", service: "AuditService"},
	{name: "transfer", service: "TransferService", about: "Moving a project to another organization, by one party with rights in both or by two"},
	{name: "plan", service: "PlanService"},
	{name: "plane", service: "DataPlaneService"},
	{name: "instance", service: "InstanceService"},
	{name: "log", service: "LogService"},
}

// command is a method of the API as a person calls it. Its flags and their help come from the proto.
type command struct {
	noun, verb, method string
	// args are the request's fields that stand behind the verb, in order. One whose name ends in "?" may be left out; one
	// whose name ends in "!" may not, though the API takes it empty.
	args string
	// about is a line of help in the imperative; the first sentence of the method's comment if empty.
	about string
	// example is what stands behind "tenure noun verb".
	example string
	// chosen is the field with the id of what is made; it is --id and never looked up.
	chosen string
	// ask is what is asked before something is destroyed; say is what is said to people instead of showing the response.
	// {a.b|c|'d'} is the first of these that is there: a field of the response, one of the request as it was typed, a word.
	ask, say string
	// show is the field of the response that is printed, if it is not the first message in it.
	show string
	// answer is the field of the response that says yes or no; the exit code is 1 on no.
	answer string
	// deleted prefers a deleted project where a name is looked up; unseen is a field with the id of an organization that the
	// caller need not be able to see.
	deleted bool
	unseen  string
}

var commands = []command{
	{noun: "org", verb: "create", method: "OrgService.CreateOrg", args: "name", chosen: "org_id",
		about:   "Make an organization",
		example: "client-acme-corp --owner ada@example.com",
		say:     "Organization {org.name} created: {org.id}"},
	{noun: "org", verb: "get", method: "OrgService.GetOrg", args: "org_id", about: "Show an organization",
		example: "client-acme-corp"},
	{noun: "org", verb: "list", method: "OrgService.ListOrgs", about: "List the organizations you can see", example: "--limit 20"},
	{noun: "org", verb: "update", method: "OrgService.UpdateOrg", args: "org_id",
		about:   "Change what is given of an organization and keep the rest",
		example: "acme --name client-acme --metadata tier=gold",
		say:     "Organization {org.name} ({org.id}) updated"},
	{noun: "org", verb: "suspend", method: "OrgService.SuspendOrg", args: "org_id",
		about:   "Deny everything in an organization, its keys included",
		example: `acme --reason "unpaid since March"`,
		say:     "Organization {org.name} ({org.id}) suspended: everything in it is denied until `tenure org resume {org.id}`"},
	{noun: "org", verb: "resume", method: "OrgService.ResumeOrg", args: "org_id", about: "End a suspension",
		example: "acme", say: "Organization {org.name} ({org.id}) resumed"},
	{noun: "org", verb: "set-plan", method: "OrgService.SetPlan", args: "org_id plan_id!",
		about:   "Give an organization a plan; '' takes it away",
		example: "acme pro", say: "Organization {org.name} ({org.id}) has plan {org.plan_id|'none'}"},
	{noun: "org", verb: "place", method: "OrgService.PlaceOrg", args: "org_id data_plane_id!",
		about:   "Say on which data plane an organization's data lives; '' takes it away",
		example: "acme eu-1", say: "Organization {org.name} ({org.id}) is on data plane {org.data_plane_id|'none'}"},
	{noun: "org", verb: "delete", method: "OrgService.DeleteOrg", args: "org_id",
		about:   "End an organization for good",
		example: "acme --cascade --yes",
		ask:     "Delete organization {org_id} for good?",
		say:     "Organization {org.name} ({org.id}) deleted"},

	{noun: "project", verb: "create", method: "ProjectService.CreateProject", args: "name", chosen: "project_id", about: "Make a project",
		example: "acme-chatbot-prod --org acme --environments staging,production",
		say:     "Project {project.name} created: {project.id}"},
	{noun: "project", verb: "get", method: "ProjectService.GetProject", args: "project_id", about: "Show a project",
		example: "acme/acme-chatbot-prod"},
	{noun: "project", verb: "list", method: "ProjectService.ListProjects", about: "List the projects of an organization", example: "--org acme"},
	{noun: "project", verb: "update", method: "ProjectService.UpdateProject", args: "project_id",
		about:   "Change what is given of a project and keep the rest",
		example: "acme/acme-chatbot-prod --retention-days 90",
		say:     "Project {project.name} ({project.id}) updated"},
	{noun: "project", verb: "delete", method: "ProjectService.DeleteProject", args: "project_id",
		about:   "Delete a project; it can be restored",
		example: "acme/acme-chatbot-prod --yes",
		ask:     "Delete project {project_id}? Its keys are refused from then on.",
		say:     "Project {project.name} ({project.id}) deleted; `tenure project restore {project.id}` brings it back"},
	{noun: "project", verb: "restore", method: "ProjectService.RestoreProject", args: "project_id", deleted: true,
		about: "Bring a deleted project back", example: "acme/acme-chatbot-prod",
		say: "Project {project.name} ({project.id}) restored"},

	{noun: "member", verb: "grant", method: "MemberService.GrantRole", args: "user_id role",
		about: "Make somebody a member with a role, change the role, or override it in a project", example: "ada@example.com ADMIN --org acme --expires 30d",
		say: "{user_id} is {role} in {project_id|org_id}"},
	{noun: "member", verb: "revoke", method: "MemberService.RevokeRole", args: "user_id", about: "End a membership, or an override in a project",
		example: "ada@example.com --org acme --yes",
		ask:     "End what {user_id} holds in {project_id|org_id}? With a membership its overrides in projects go as well.",
		say:     "{user_id} revoked in {project_id|org_id}"},
	{noun: "member", verb: "suspend", method: "MemberService.SuspendMember", args: "user_id",
		about: "Make a membership count as NONE until it is resumed", example: "ada@example.com --org acme",
		say: "{user_id} suspended in {org_id}"},
	{noun: "member", verb: "resume", method: "MemberService.ResumeMember", args: "user_id", about: "End a suspension",
		example: "ada@example.com --org acme", say: "{user_id} resumed in {org_id}"},
	{noun: "member", verb: "leave", method: "MemberService.LeaveOrg", args: "org_id", about: "End your own membership",
		example: "acme --yes",
		ask:     "Leave organization {org_id}, with your roles, overrides and groups?",
		say:     "You have left {org_id}"},
	{noun: "member", verb: "list", method: "MemberService.ListMembers", about: "List the members of an organization with their roles there or in one of its projects",
		example: "--project acme/acme-chatbot-prod"},

	{noun: "invite", verb: "send", method: "InvitationService.Invite", args: "email",
		about: "Invite an e-mail address into an organization or a project", example: "grace@example.com --org acme --role MEMBER",
		say: "{invitation.email} invited to {project_id|org_id}: {invitation.id}"},
	{noun: "invite", verb: "accept", method: "InvitationService.AcceptInvitation", args: "accept_token?",
		about: "Accept an invitation", example: "- < token.txt", say: "Invitation {invitation.id} to {invitation.org_name} accepted"},
	{noun: "invite", verb: "decline", method: "InvitationService.DeclineInvitation", args: "accept_token?",
		about: "Decline an invitation", example: "--invitation inv_01JZZZZZZZZZZZZZZZZZZZZZZZ", say: "Invitation {invitation.id} to {invitation.org_name} declined"},
	{noun: "invite", verb: "revoke", method: "InvitationService.RevokeInvitation", args: "invitation_id",
		about:   "Take a pending invitation back",
		example: "inv_01JZZZZZZZZZZZZZZZZZZZZZZZ", say: "Invitation {invitation.id} of {invitation.email} revoked"},
	{noun: "invite", verb: "resend", method: "InvitationService.ResendInvitation", args: "invitation_id",
		about: "Make a new token for an invitation; the one before is good no more", example: "inv_01JZZZZZZZZZZZZZZZZZZZZZZZ",
		say: "Invitation {invitation.id} of {invitation.email} renewed"},
	{noun: "invite", verb: "list", method: "InvitationService.ListInvitations", about: "List the invitations to an organization or a project, or those a person got", example: "--org acme --include-ended"},

	{noun: "role", verb: "define", method: "RoleService.DefineRole", args: "role",
		about: "Make a role out of permissions", example: "annotator --org acme --project-permissions project:read,scores:CUD",
		say: "Role {role.name} defined in {org_id}"},
	{noun: "role", verb: "update", method: "RoleService.UpdateRole", args: "role",
		about:   "Change a role for everybody who has it, at once",
		example: "annotator --org acme --project-permissions project:read,scores:CUD,comments:CUD",
		say:     "Role {role.name} updated in {org_id}"},
	{noun: "role", verb: "delete", method: "RoleService.DeleteRole", args: "role", about: "Delete a role that nobody has",
		example: "annotator --org acme --yes",
		ask:     "Delete role {role} of {org_id}?", say: "Role {role} of {org_id} deleted"},
	{noun: "role", verb: "list", method: "RoleService.ListRoles", about: "List the built-in roles and those of an organization", example: "--org acme"},
	{noun: "role", verb: "permissions", method: "RoleService.ListPermissions", about: "List what can be held and asked at each level", example: ""},

	{noun: "group", verb: "create", method: "GroupService.CreateGroup", args: "name", chosen: "group_id", about: "Make a group",
		example: "engineers --org acme --role VIEWER --project-role chatbot=MEMBER --users ada@example.com",
		say:     "Group {group.name} created: {group.id}"},
	{noun: "group", verb: "update", method: "GroupService.UpdateGroup", args: "group_id", about: "Change a group: its name, roles and people",
		example: "acme/engineers --add-users grace@example.com",
		say:     "Group {group.name} ({group.id}) updated: {group.members} in it"},
	{noun: "group", verb: "delete", method: "GroupService.DeleteGroup", args: "group_id", about: "Delete a group",
		example: "acme/engineers --yes",
		ask:     "Delete group {group_id}? Who is a member by it alone loses the membership.", say: "Group {group_id} deleted"},
	{noun: "group", verb: "list", method: "GroupService.ListGroups", about: "List the groups of an organization, or those of one of its members", example: "--org acme"},
	{noun: "group", verb: "members", method: "GroupService.ListGroupMembers", args: "group_id", about: "List who is in a group", example: "acme/engineers"},

	{noun: "user", verb: "register", method: "UserService.RegisterUser", args: "email", chosen: "user_id", about: "Make an account, or show the one there is for an e-mail",
		example: "ada@example.com --name Ada",
		say:     "{user.email} has the account {user.id}"},
	{noun: "user", verb: "get", method: "UserService.GetUser", args: "user_id", about: "Show a user", example: "ada@example.com"},
	{noun: "user", verb: "list", method: "UserService.ListUsers", about: "List all users, or the one with an e-mail or an identity", example: "--email ada@example.com"},
	{noun: "user", verb: "update", method: "UserService.UpdateUser", args: "user_id", about: "Change a user's e-mail or name",
		example: `ada@example.com --name "Ada Lovelace"`, say: "User {user.email|user.name} ({user.id}) updated"},
	{noun: "user", verb: "create-service-account", method: "UserService.CreateServiceAccount", args: "name", chosen: "user_id", about: "Make a user without login, at home in one organization",
		example: "deploy-bot --org acme --role MEMBER",
		say:     "Service account {user.name} created: {user.id}"},
	{noun: "user", verb: "link", method: "UserService.LinkIdentity", args: "user_id", about: "Tie an account elsewhere to a user",
		example: "ada@example.com --issuer https://accounts.example.com --subject 1234",
		say:     "{subject} at {issuer} is {user_id}"},
	{noun: "user", verb: "unlink", method: "UserService.UnlinkIdentity", args: "user_id", about: "End the tie to an account elsewhere",
		example: "ada@example.com --issuer https://accounts.example.com --subject 1234",
		say:     "{subject} at {issuer} is {user_id} no more"},
	{noun: "user", verb: "deactivate", method: "UserService.DeactivateUser", args: "user_id", about: "Deny a user everything until reactivated",
		example: "ada@example.com", say: "User {user.email|user.name} ({user.id}) deactivated"},
	{noun: "user", verb: "reactivate", method: "UserService.ReactivateUser", args: "user_id", about: "End a deactivation",
		example: "ada@example.com", say: "User {user.email|user.name} ({user.id}) reactivated"},
	{noun: "user", verb: "erase", method: "UserService.EraseUser", args: "user_id", about: "End an account and destroy what is personal in it, for good",
		example: "ada@example.com --yes",
		ask:     "Erase {user_id}? The account ends and what is personal is destroyed everywhere. It can't be undone.",
		say:     "User {user.id} erased"},

	{noun: "key", verb: "create", method: "KeyService.CreateKey", about: "Make a key; its secret is shown once",
		example: "--project acme/acme-chatbot-prod --name ingest --preset ingest-only",
		say:     "Key {key.name} created: {key.id}"},
	{noun: "key", verb: "get", method: "KeyService.GetKey", args: "key_id", about: "Show a key, not its secret", example: "key_01JZZZZZZZZZZZZZZZZZZZZZZZ"},
	{noun: "key", verb: "list", method: "KeyService.ListKeys", about: "List the keys of a project, an organization, a user or the instance", example: "--project acme/acme-chatbot-prod"},
	{noun: "key", verb: "update", method: "KeyService.UpdateKey", args: "key_id",
		about:   "Change what is given of a key and keep the rest",
		example: "key_01JZZZZZZZZZZZZZZZZZZZZZZZ --expires 90d", say: "Key {key.name} ({key.id}) updated"},
	{noun: "key", verb: "rotate", method: "KeyService.RotateKey", args: "key_id",
		about:   "Make a successor of a key and let the key live on for a while",
		example: "key_01JZZZZZZZZZZZZZZZZZZZZZZZ --grace 2h", say: "Key {key_id} rotated, its successor is {key.id}"},
	{noun: "key", verb: "revoke", method: "KeyService.RevokeKey", args: "key_id",
		about:   "End a key at once and for good",
		example: `key_01JZZZZZZZZZZZZZZZZZZZZZZZ --reason "found in a public repository" --yes`,
		ask:     "Revoke key {key_id} at once and for good?", say: "Key {key.name} ({key.id}) revoked"},
	{noun: "key", verb: "import", method: "KeyService.ImportKey", args: "public_key", chosen: "key_id",
		about:   "Take in a key that was made elsewhere, by the hash of its secret",
		example: "pk-lf-0190f3a2 --scheme bcrypt --hash - --project acme/acme-chatbot-prod < hash.txt",
		say:     "Key {key.name|key.public_key} imported: {key.id}"},
	{noun: "key", verb: "verify", method: "KeyService.VerifyKey", args: "public_key? secret", answer: "valid",
		about: "Say whether a secret is good now and what for", example: "pk-tn-key_01JZZZZZZZZZZZZZZZZZZZZZZZ - < secret.txt"},

	{noun: "access", verb: "check", method: "AccessService.Check", args: "user_id? permission", answer: "allowed",
		say:   "{allowed}: {role|key|'no role'} ({reason})",
		about: "Ask whether somebody, a key or you may do something", example: "ada@example.com prompts:CUD --project acme/acme-chatbot-prod"},
	{noun: "access", verb: "batch-check", method: "AccessService.BatchCheck", show: "results",
		about:   "Ask many questions of one and the same state",
		example: "--check user=ada@example.com,permission=prompts:CUD,project=acme/acme-chatbot-prod --check key=key_01JZZZZZZZZZZZZZZZZZZZZZZZ,permission=projects:create,org=acme"},
	{noun: "access", verb: "explain", method: "AccessService.Explain", args: "check.user_id? check.permission", answer: "allowed",
		about: "Answer as check does, with the path that leads there", example: "ada@example.com prompts:CUD --project acme/acme-chatbot-prod"},
	{noun: "access", verb: "list", method: "AccessService.ListAccessible", args: "user_id?", about: "List everything a person can reach",
		example: "ada@example.com"},
	{noun: "access", verb: "who", method: "AccessService.ListSubjects", args: "permission", about: "List who holds a permission at a place, and by what",
		example: "prompts:CUD --project acme/acme-chatbot-prod"},

	{noun: "audit", verb: "query", method: "AuditService.QueryAudit", about: "Show the history of an organization or a project, newest first",
		example: "--org acme --limit 50"},

	{noun: "transfer", verb: "preview", method: "ProjectService.PreviewTransfer", args: "project_id target_org_id", show: "preview",
		about:   "Say what a transfer would do, and what stands in its way",
		example: "acme/acme-chatbot-prod bu-customer-care"},
	{noun: "transfer", verb: "run", method: "ProjectService.TransferProject", args: "project_id target_org_id",
		about:   "Move a project, by somebody with rights in both organizations",
		example: `acme/acme-chatbot-prod bu-customer-care --reason "support takes over" --yes`,
		ask:     "Move project {project_id} to {target_org_id}? Overrides in it end; `tenure transfer preview` shows for whom.",
		say:     "Project {project.name} ({project.id}) is in {target_org_id}"},
	{noun: "transfer", verb: "offer", method: "TransferService.OfferTransfer", args: "project_id target_org_id", unseen: "target_org_id",
		about: "Propose a project to another organization", example: "acme/acme-chatbot-prod org_01JZZZZZZZZZZZZZZZZZZZZZZZ --expires 3d",
		say: "Project {offer.project_name} offered to {target_org_id}: {offer.id}"},
	{noun: "transfer", verb: "accept", method: "TransferService.AcceptTransfer", args: "offer_id", about: "Accept an offer: the project moves",
		example: "xfr_01JZZZZZZZZZZZZZZZZZZZZZZZ --yes",
		ask:     "Accept offer {offer_id}? `tenure transfer preview-offer {offer_id}` shows what it does.",
		say:     "Project {project.name} ({project.id}) is in {project.org_id}"},
	{noun: "transfer", verb: "decline", method: "TransferService.DeclineTransfer", args: "offer_id", about: "Decline an offer",
		example: "xfr_01JZZZZZZZZZZZZZZZZZZZZZZZ", say: "Offer {offer.id} of project {offer.project_name} declined"},
	{noun: "transfer", verb: "cancel", method: "TransferService.CancelTransfer", args: "offer_id", about: "Take an offer back",
		example: "xfr_01JZZZZZZZZZZZZZZZZZZZZZZZ", say: "Offer {offer.id} of project {offer.project_name} cancelled"},
	{noun: "transfer", verb: "preview-offer", method: "TransferService.PreviewOffer", args: "offer_id",
		about: "Say what accepting an offer would do, to each side its own half", example: "xfr_01JZZZZZZZZZZZZZZZZZZZZZZZ"},
	{noun: "transfer", verb: "list", method: "TransferService.ListTransferOffers", about: "List what an organization offered and was offered", example: "--org acme"},

	{noun: "plan", verb: "define", method: "PlanService.DefinePlan", args: "plan_id", about: "Make a plan, or define the one with that id anew: a quota that is not given is none",
		example: "pro --name Pro --quota-projects 10 --quota-members 100",
		say:     "Plan {plan.id} defined"},
	{noun: "plan", verb: "list", method: "PlanService.ListPlans", about: "List all plans", example: ""},

	{noun: "plane", verb: "register", method: "DataPlaneService.RegisterDataPlane", args: "data_plane_id base_url",
		about: "Make a data plane known, or define the one with that id anew", example: "eu-1 https://eu-1.example.com --region eu-west-1",
		say: "Data plane {data_plane.id} registered"},
	{noun: "plane", verb: "list", method: "DataPlaneService.ListDataPlanes", about: "List all data planes", example: ""},

	{noun: "instance", verb: "info", method: "InstanceService.GetInstance", about: "Show log, version, counts and warnings of the installation", example: ""},
	{noun: "instance", verb: "whoami", method: "InstanceService.WhoAmI", about: "Show who your credentials belong to", example: ""},
	{noun: "instance", verb: "policy", method: "InstanceService.GetPolicy", about: "Show what the installation demands and gives by itself", example: ""},
	{noun: "instance", verb: "set-policy", method: "InstanceService.UpdatePolicy",
		about:   "Change the policy; what is not given stays, but a list is replaced whole",
		example: `--naming-org-pattern "^(client|bu)-" --naming-org-form "client-<name> or bu-<name>"`,
		say:     "Policy updated"},
	{noun: "instance", verb: "raise-format", method: "InstanceService.RaiseFormat",
		about:   "Let servers write what is new in their version, when all of them are upgraded; there is no way back",
		example: "", say: "The log has format {format}"},
	{noun: "instance", verb: "grant-admin", method: "InstanceService.GrantInstanceAdmin", args: "user_id", about: "Make a person an instance admin",
		example: "ada@example.com", say: "{user_id} is an instance admin"},
	{noun: "instance", verb: "revoke-admin", method: "InstanceService.RevokeInstanceAdmin", args: "user_id", about: "End that a person is an instance admin",
		example: "ada@example.com", say: "{user_id} is an instance admin no more"},
	{noun: "instance", verb: "admins", method: "InstanceService.ListInstanceAdmins", about: "List the people who are instance admins", example: ""},
}

// columns are what a table shows of each kind of thing, in order; of what is not named here, everything. "#field" is a
// count.
var columns = map[string]string{
	"Org":           "id name status unclaimed plan_id residency data_plane_id created_at",
	"Project":       "id name org_id status retention_days environments created_at",
	"Member":        "user_id email name role org_role project_role by_group_id expires_at suspended",
	"Invitation":    "id email org_name role project_id project_role status expires_at",
	"Role":          "name description built_in #organization_permissions #project_permissions",
	"Group":         "id name role project_roles members created_at",
	"User":          "id email name status service_org_id instance_admin created_at",
	"Key":           "id name project_id org_id user_id display_secret status expires_at created_at created_by",
	"CheckResponse": "allowed reason role",
	"TransferOffer": "id project_name project_id source_org_name target_org_id status expires_at",
	"Plan":          "id name quotas",
	"Step":          "kind finding role expires_at text",
}
