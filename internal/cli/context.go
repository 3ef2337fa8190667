package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Short: "Servers and keys in the config file", GroupID: "client",
		Long: `A context is a server and the key for it, under a name, in tenure/config.yaml of your config directory (on Linux
~/.config). The file is readable by you alone.

What is called is said by, in this order: --server and --context; TENURE_SERVER, TENURE_KEY and TENURE_CONTEXT; the current
context; ` + defaultServer + `. TENURE_KEY is a secret, or public:secret; without one TENURE_ADMIN_KEY is taken.
A context's key is sent to the context's server alone.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	set := &cobra.Command{
		Use: "set NAME", Short: "Add a context, or change one; the first one is the current one",
		Example: "  tenure context set prod --server https://tenure.example.com --key-stdin < key.txt",
		Args:    cobra.ExactArgs(1), RunE: setContext,
	}
	set.Flags().String("server", "", "address of the server")
	set.Flags().Bool("key-stdin", false, "read the key, a secret or public:secret, from standard input")
	use := &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one", Example: "  tenure context use prod",
		Args: cobra.ExactArgs(1), ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeConfig(cmd, args[0], func(c *config) string {
				c.Current = args[0]
				return fmt.Sprintf("Context %s is the current one: %s", args[0], c.Contexts[args[0]].Server)
			})
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "List the contexts", Example: "  tenure context list",
		Args: cobra.NoArgs, RunE: listContexts,
	}
	outputFlag(list)
	remove := &cobra.Command{
		Use: "delete NAME", Short: "Delete a context", Example: "  tenure context delete prod",
		Args: cobra.ExactArgs(1), ValidArgsFunction: completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeConfig(cmd, args[0], func(c *config) string {
				delete(c.Contexts, args[0])
				if c.Current == args[0] {
					c.Current = ""
				}
				return fmt.Sprintf("Context %s deleted", args[0])
			})
		},
	}
	cmd.AddCommand(set, use, list, remove)
	return cmd
}

func setContext(cmd *cobra.Command, args []string) error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	t, known := c.Contexts[args[0]]
	if server, _ := cmd.Flags().GetString("server"); server != "" {
		if server != t.Server {
			t.Key = ""
		}
		t.Server = server
	}
	if t.Server == "" {
		return usagef(cmd, "--server is missing")
	}
	if keyed, _ := cmd.Flags().GetBool("key-stdin"); keyed {
		if t.Key, err = readSecret(cmd.InOrStdin(), cmd.ErrOrStderr(), "Key: "); err != nil {
			return err
		}
	}
	if c.Contexts == nil {
		c.Contexts = map[string]target{}
	}
	c.Contexts[args[0]] = t
	if c.Current == "" {
		c.Current = args[0]
	}
	if err := c.save(); err != nil {
		return err
	}
	said := map[bool]string{false: "added", true: "changed"}[known]
	fmt.Fprintf(cmd.OutOrStdout(), "Context %s %s: %s, %s\n", args[0], said, t.Server, keyShown(t.Key))
	return nil
}

func changeConfig(cmd *cobra.Command, name string, change func(*config) (said string)) error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	if _, ok := c.Contexts[name]; !ok {
		return fmt.Errorf("there is no context %q; `tenure context list` shows those there are", name)
	}
	said := change(&c)
	if err := c.save(); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), said)
	return nil
}

// listContexts never shows a key.
func listContexts(cmd *cobra.Command, _ []string) error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	format, err := outputOf(cmd)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(c.Contexts))
	if format != people {
		list := make([]map[string]any, 0, len(names))
		for _, name := range names {
			t := c.Contexts[name]
			list = append(list, map[string]any{"name": name, "server": t.Server, "key": keyShown(t.Key), "current": name == c.Current})
		}
		return printPlain(cmd.OutOrStdout(), format, map[string]any{"contexts": list})
	}
	t := &table{header: []string{"NAME", "SERVER", "KEY", "CURRENT"}}
	for _, name := range names {
		current := ""
		if name == c.Current {
			current = "yes"
		}
		t.rows = append(t.rows, []string{name, c.Contexts[name].Server, keyShown(c.Contexts[name].Key), current})
	}
	return t.print(cmd.OutOrStdout())
}

// keyShown tells a key from another without giving it away.
func keyShown(key string) string {
	switch {
	case key == "":
		return "no key"
	case len(key) < 24:
		return "a key"
	}
	return "key " + key[:6] + "..." + key[len(key)-4:]
}
