package domain

// Ids are opaque: 1 to 64 characters of [A-Za-z0-9_-]. New ones are a type prefix and a ULID; the edge makes and checks
// them, the domain only tells them apart.
type (
	// OrgID names an organization; new ones begin with "org_".
	OrgID string
	// ProjectID names a project; new ones begin with "prj_".
	ProjectID string
	// UserID names a user; new ones begin with "usr_".
	UserID string
	// KeyID names an API key; new ones begin with "key_".
	KeyID string
	// GroupID names a group; new ones begin with "grp_".
	GroupID string
	// InvitationID names an invitation; new ones begin with "inv_".
	InvitationID string
	// OfferID names an offer to transfer a project; new ones begin with "xfr_".
	OfferID string
	// WebhookID names a webhook; new ones begin with "whk_".
	WebhookID string
	// PlanID names a plan; it is chosen.
	PlanID string
	// DataPlaneID names a data plane; it is chosen.
	DataPlaneID string
)
