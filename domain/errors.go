package domain

import "fmt"

// Code is the class of an error, as the caller's program sees it. internal/rpc maps each to one of Connect's.
type Code uint8

const (
	// CodeInvalid: the request itself is wrong, whatever the state.
	CodeInvalid Code = iota + 1
	// CodeUnauthenticated: no credentials, or not good ones.
	CodeUnauthenticated
	// CodeDenied: the caller may see what is named but not do this.
	CodeDenied
	// CodeNotFound: there is no such thing, or the caller may not see it; the two read the same.
	CodeNotFound
	// CodeExists: the name or id is taken.
	CodeExists
	// CodePrecondition: not in the present state.
	CodePrecondition
	// CodeAborted: lost too many races; repeat.
	CodeAborted
	// CodeExhausted: over a limit.
	CodeExhausted
	// CodeUnavailable: can't be answered truthfully now; repeat later.
	CodeUnavailable
	// CodeInternal: a defect of Tenure.
	CodeInternal
)

// Reason is the machine-readable cause of an error or of an access decision.
type Reason string

// Reasons of errors.
const (
	InvalidField       Reason = "INVALID_FIELD"
	Unauthenticated    Reason = "UNAUTHENTICATED"
	PermissionDenied   Reason = "PERMISSION_DENIED"
	GrantCeiling       Reason = "GRANT_CEILING"
	KeyCeiling         Reason = "KEY_CEILING"
	ChosenID           Reason = "CHOSEN_ID"
	OrgNotFound        Reason = "ORG_NOT_FOUND"
	ProjectNotFound    Reason = "PROJECT_NOT_FOUND"
	UserNotFound       Reason = "USER_NOT_FOUND"
	MemberNotFound     Reason = "MEMBER_NOT_FOUND"
	KeyNotFound        Reason = "KEY_NOT_FOUND"
	NameTaken          Reason = "NAME_TAKEN"
	IDTaken            Reason = "ID_TAKEN"
	EmailTaken         Reason = "EMAIL_TAKEN"
	LastOwner          Reason = "LAST_OWNER"
	OrgHasProjects     Reason = "ORG_HAS_PROJECTS"
	SameOrg            Reason = "SAME_ORG"
	EnvironmentInUse   Reason = "ENVIRONMENT_IN_USE"
	UnknownEnvironment Reason = "UNKNOWN_ENVIRONMENT"
	UnknownPermission  Reason = "UNKNOWN_PERMISSION"
	ExpiryInPast       Reason = "EXPIRY_IN_PAST"
	KeyRotated         Reason = "KEY_ROTATED"
	IdempotencyReuse   Reason = "IDEMPOTENCY_KEY_REUSED"

	RoleNotFound            Reason = "ROLE_NOT_FOUND"
	RoleExists              Reason = "ROLE_EXISTS"
	RoleInUse               Reason = "ROLE_IN_USE"
	UnknownRole             Reason = "UNKNOWN_ROLE"
	BuiltInRole             Reason = "BUILT_IN_ROLE"
	MemberByGroup           Reason = "MEMBER_BY_GROUP"
	GroupNotFound           Reason = "GROUP_NOT_FOUND"
	InvitationNotFound      Reason = "INVITATION_NOT_FOUND"
	InvitationExists        Reason = "INVITATION_EXISTS"
	InvitationEnded         Reason = "INVITATION_ENDED"
	InvitationExpiredReason Reason = "INVITATION_EXPIRED"
	OfferNotFound           Reason = "OFFER_NOT_FOUND"
	OfferExists             Reason = "OFFER_EXISTS"
	OfferEnded              Reason = "OFFER_ENDED"
	OfferExpiredReason      Reason = "OFFER_EXPIRED"
	OrgCreatorsOnly         Reason = "ORG_CREATORS"
	NamingPolicy            Reason = "NAMING_POLICY"
	BadPattern              Reason = "BAD_PATTERN"
	PlanNotFound            Reason = "PLAN_NOT_FOUND"
	QuotaExceeded           Reason = "QUOTA_EXCEEDED"
	DataPlaneNotFound       Reason = "DATA_PLANE_NOT_FOUND"
	DataPlaneDedicated      Reason = "DATA_PLANE_DEDICATED"
	DataPlaneShared         Reason = "DATA_PLANE_SHARED"
	ResidencyViolated       Reason = "RESIDENCY"
	IsServiceAccount        Reason = "SERVICE_ACCOUNT"
	IdentityTaken           Reason = "IDENTITY_TAKEN"
	TooMany                 Reason = "TOO_MANY"
	KeySchemeUnknown        Reason = "KEY_SCHEME"
	FormatTooOld            Reason = "FORMAT_TOO_OLD"
	OldServers              Reason = "OLD_SERVERS"
	WebhookNotFound         Reason = "WEBHOOK_NOT_FOUND"
	TooManyWebhooks         Reason = "TOO_MANY_WEBHOOKS"
	UnknownEventType        Reason = "UNKNOWN_EVENT_TYPE"
)

// Reasons of access decisions and key verdicts. Those that deny because of a state are reasons of errors as well.
const (
	ByOrgRole         Reason = "ORG_ROLE"
	ByOrgGroup        Reason = "ORG_GROUP"
	ByProjectOverride Reason = "PROJECT_OVERRIDE"
	ByProjectGroup    Reason = "PROJECT_GROUP"
	ByKeyPermission   Reason = "KEY_PERMISSION"
	ByInstanceAdmin   Reason = "INSTANCE_ADMIN"

	RoleLacks         Reason = "ROLE_LACKS_PERMISSION"
	KeyLacks          Reason = "KEY_LACKS_PERMISSION"
	BlockedInProject  Reason = "BLOCKED_IN_PROJECT"
	NotAMember        Reason = "NOT_A_MEMBER"
	MemberSuspended   Reason = "MEMBER_SUSPENDED"
	GrantExpired      Reason = "GRANT_EXPIRED"
	KeyOfOtherTenant  Reason = "KEY_OF_ANOTHER_TENANT"
	UserUnknown       Reason = "USER_UNKNOWN"
	UserDeactivated   Reason = "USER_DEACTIVATED"
	UserErased        Reason = "USER_ERASED"
	OrgSuspended      Reason = "ORG_SUSPENDED"
	OrgDeleted        Reason = "ORG_DELETED"
	ProjectDeleted    Reason = "PROJECT_DELETED"
	KeyValid          Reason = "VALID"
	KeyUnknown        Reason = "KEY_UNKNOWN"
	KeyRevoked        Reason = "KEY_REVOKED"
	KeyExpired        Reason = "KEY_EXPIRED"
	WrongEnvironment  Reason = "WRONG_ENVIRONMENT"
	NetworkNotAllowed Reason = "NETWORK_NOT_ALLOWED"
)

// Error is the one error type that reaches callers. The cause, if any, stays inside and is logged once.
type Error struct {
	Code    Code
	Reason  Reason
	Message string
	// Field is the request field at fault, if one is.
	Field string
	cause error
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Message }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

// Because is the error with its cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Errorf makes an Error; the message tells the caller what to do.
func Errorf(code Code, reason Reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalidf is an error about one field of the request.
func Invalidf(field string, reason Reason, format string, args ...any) *Error {
	e := Errorf(CodeInvalid, reason, format, args...)
	e.Field, e.Message = field, field+": "+e.Message
	return e
}

// notFound is put together without fmt, because every request has one ready.
func notFound[ID ~string](reason Reason, what string, id ID) *Error {
	return &Error{
		Code: CodeNotFound, Reason: reason,
		Message: "there is no " + what + ` "` + string(id) + `" that you can see; check the id and the key you call with`,
	}
}

func orgNotFound(id OrgID) *Error         { return notFound(OrgNotFound, "organization", id) }
func projectNotFound(id ProjectID) *Error { return notFound(ProjectNotFound, "project", id) }
func userNotFound(id UserID) *Error       { return notFound(UserNotFound, "user", id) }
func keyNotFound(id KeyID) *Error         { return notFound(KeyNotFound, "key", id) }
func groupNotFound(id GroupID) *Error     { return notFound(GroupNotFound, "group", id) }
func invitationNotFound(id InvitationID) *Error {
	return notFound(InvitationNotFound, "invitation", id)
}
func offerNotFound(id OfferID) *Error { return notFound(OfferNotFound, "transfer offer", id) }

// stateMessages say what to do about a state that denies everything.
var stateMessages = map[Reason]string{
	OrgSuspended:    "the organization is suspended; an instance admin can resume it",
	OrgDeleted:      "the organization was deleted",
	ProjectDeleted:  "the project was deleted; RestoreProject brings it back",
	MemberSuspended: "the membership is suspended; ResumeMember ends that",
	UserDeactivated: "the user is deactivated; an instance admin can reactivate the account",
	UserErased:      "the user was erased",
	KeyRevoked:      "the key was revoked; use another one",
	KeyExpired:      "the key has expired; use another one",
	KeyRotated:      "the key was rotated; use its successor",
}

func inState(reason Reason) *Error {
	return Errorf(CodePrecondition, reason, "%s", stateMessages[reason])
}
