package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
	"github.com/tenurehq/tenure/proto/gen/tenure/v1/tenurev1connect"
)

// completionWait is how long somebody who pressed Tab waits for a server at most.
const completionWait = 1500 * time.Millisecond

// completeArguments completes what stands behind a verb.
func (c command) completeArguments(arguments []*input) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(arguments) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(cmd, arguments[len(args)], begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags completes the values of flags.
func completeFlags(cmd *cobra.Command, inputs []*input) {
	for _, in := range inputs {
		if in.argument {
			continue
		}
		_ = cmd.RegisterFlagCompletionFunc(in.name, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return words(cmd, in, begun), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// words are what an input can be: from the proto, or from the server. A server that does not answer soon gives none.
func words(cmd *cobra.Command, in *input, begun string) []cobra.Completion {
	f := in.field()
	if f.Enum() != nil {
		return enumWords(f.Enum())
	}
	if f.Kind() != protoreflect.StringKind {
		return nil
	}
	if allowed := slices.DeleteFunc(slices.Clone(fieldRules(f).GetString().GetIn()), func(s string) bool { return s == "" }); len(allowed) > 0 {
		return allowed
	}
	if in.kind == text || in.kind == secret || in.kind == group {
		return nil
	}
	conn, err := Connect(cmd)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
	defer cancel()
	n := newNames(conn)
	if flag := cmd.Flags().Lookup("org"); flag != nil && in.kind != org && flag.Value.String() != "" {
		n.here.org, _ = n.org(ctx, flag.Value.String())
	}
	// Of a list the last one is being typed.
	before := ""
	if in.commas {
		before = begun[:strings.LastIndex(begun, ",")+1]
	}
	var list []cobra.Completion
	for _, word := range n.words(ctx, conn, in.kind, strings.TrimPrefix(begun, before)) {
		list = append(list, before+word)
	}
	return list
}

func (n *names) words(ctx context.Context, conn *Connection, k kind, begun string) (list []string) {
	switch k {
	case org:
		orgs, _ := n.allOrgs(ctx)
		return shown(orgs)
	case project:
		in, _, qualified := strings.Cut(begun, "/")
		if !qualified {
			orgs, _ := n.allOrgs(ctx)
			for _, name := range shown(orgs) {
				list = append(list, name+"/")
			}
			return list
		}
		owner, err := n.org(ctx, in)
		if err != nil {
			return nil
		}
		projects, _ := n.allProjects(ctx, owner, in)
		return shown(projects)
	case user:
		res, err := n.members.ListMembers(ctx, &tenurev1.ListMembersRequest{OrgId: n.here.org, PageSize: pageSize})
		if err != nil {
			return nil
		}
		for _, m := range res.Members {
			list = append(list, m.Email)
		}
		return list
	case role:
		list = []string{"OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"}
		roles := tenurev1connect.NewRoleServiceClient(conn.HTTP, conn.URL, conn.Options()...)
		if res, err := roles.ListRoles(ctx, &tenurev1.ListRolesRequest{OrgId: n.here.org, PageSize: pageSize}); err == nil && n.here.org != "" {
			list = nil
			for _, r := range res.Roles {
				list = append(list, r.Name)
			}
		}
		return list
	case permission:
		roles := tenurev1connect.NewRoleServiceClient(conn.HTTP, conn.URL, conn.Options()...)
		if res, err := roles.ListPermissions(ctx, &tenurev1.ListPermissionsRequest{}); err == nil {
			for _, p := range res.Permissions {
				list = append(list, p.Name)
			}
		}
	}
	return list
}

func shown(all []candidate) (list []string) {
	for _, c := range all {
		list = append(list, c.shown)
	}
	return list
}

func completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []cobra.Completion
	if c, err := loadConfig(); err == nil {
		for name, t := range c.Contexts {
			list = append(list, name+"\t"+t.Server)
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
