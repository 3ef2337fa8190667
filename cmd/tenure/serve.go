package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/cmd/tenure/app"
	"github.com/tenurehq/tenure/internal/accesslog"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/projections/redis"
	"github.com/tenurehq/tenure/projections/redis/layout"
)

func serveCommand() *cobra.Command {
	cfg := app.Config{}
	verbose := false
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server, with a NATS JetStream inside unless --nats-url names one outside.

The instance admin's key is that in TENURE_ADMIN_KEY, else one is made and printed at the first start.

What a new installation begins with can be set by TENURE_INIT_ORG_ID, TENURE_INIT_ORG_NAME, TENURE_INIT_PROJECT_ID,
TENURE_INIT_PROJECT_NAME, TENURE_INIT_PROJECT_RETENTION, TENURE_INIT_PROJECT_PUBLIC_KEY, TENURE_INIT_PROJECT_SECRET_KEY,
TENURE_INIT_USER_EMAIL and TENURE_INIT_USER_NAME, what new people get by TENURE_DEFAULT_ORG_ID, TENURE_DEFAULT_ORG_ROLE,
TENURE_DEFAULT_PROJECT_ID and TENURE_DEFAULT_PROJECT_ROLE, and who may create organizations by
TENURE_ALLOWED_ORGANIZATION_CREATORS. The same names with LANGFUSE_ in front work too. It is done once, in one commit: what is
there already is left as it is, and differences are logged.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			cfg.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			cfg.AdminKey = os.Getenv("TENURE_ADMIN_KEY")
			cfg.Salt = cmp.Or(os.Getenv("TENURE_KEY_SALT"), os.Getenv("SALT"))
			var err error
			if cfg.Init, err = app.InitFromEnv(os.Getenv); err != nil {
				return err
			}
			a, err := app.Start(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			greet(cmd.OutOrStdout(), a)
			err = a.Wait(cmd.Context())
			cfg.Logger.Info("stopping")
			if closeErr := a.Close(); err == nil {
				err = closeErr
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.DataDir, "data-dir", defaultDataDir(), "where the log and the files that must outlive the process are kept")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "address of the API")
	f.StringVar(&cfg.PrivateListen, "private-listen", "", "address of metrics and pprof, such as 127.0.0.1:9090; keep it off the internet (default none)")
	f.StringVar(&cfg.NATSURL, "nats-url", "", "an external NATS server or cluster, such as nats://host1:4222,nats://host2:4222")
	f.StringVar(&cfg.NATSCredentials, "nats-credentials", "", "credentials file for the external NATS")
	f.StringVar(&cfg.NATSCA, "nats-ca", "", "certificate authority of the external NATS")
	f.IntVar(&cfg.Replicas, "replicas", 1, "copies of the log on an external cluster: 1 or 3, used when the log is created")
	f.StringVar(&cfg.PepperFile, "pepper-file", "", "pepper of the API keys, the same for all servers (default DATA-DIR/pepper)")
	f.StringVar(&cfg.SealingKeyFile, "sealing-key-file", "", "key that wraps personal keys, the same for all servers (default DATA-DIR/sealing-key)")
	f.StringVar(&cfg.KeyStyle, "key-style", "tenure", "how new API keys look: tenure, or langfuse (pk-lf-<uuid>)")
	f.StringVar(&cfg.KeyBrand, "key-brand", "tn", "brand in new API keys of style tenure: sk-<brand>-...")
	f.StringVar(&cfg.KeyScheme, "key-scheme", "hmac", "how new API keys are stored: hmac, or langfuse (with the salt in TENURE_KEY_SALT)")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "certificate file; it is read again when it changes")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "key file of the certificate")
	f.StringSliceVar(&cfg.TrustedProxies, "trusted-proxies", nil, "networks of proxies that are believed about X-Forwarded-For, such as 10.0.0.0/8")
	f.StringVar(&cfg.PermissionsFile, "permissions-file", "", "YAML file with permissions of your own product, to be held by roles and asked in checks")
	f.StringVar(&cfg.PostgresURL, "postgres-url", os.Getenv("TENURE_POSTGRES_URL"), "PostgreSQL database of the read models, such as postgres://tenure@host/tenure, also by TENURE_POSTGRES_URL (default SQLite files in DATA-DIR/readmodels)")
	f.StringVar(&cfg.RedisURL, "redis-url", os.Getenv("TENURE_REDIS_URL"), "Redis in which what caches of API keys need is kept, such as redis://:password@host:6379, rediss:// with TLS, more nodes of a cluster as ?addr=host:6379; also by TENURE_REDIS_URL (default none)")
	f.StringVar(&cfg.RedisCA, "redis-ca", "", "certificate authority of Redis, if the machine does not trust it")
	f.StringVar(&cfg.RedisPrefix, "redis-prefix", layout.DefaultPrefix, "what all names in Redis begin with; each log needs its own")
	f.IntVar(&cfg.RedisPartitions, "redis-partitions", redis.DefaultPartitions, "over how many streams what is in Redis is spread, the same on all servers")
	f.IntVar(&cfg.IdempotencyCapacity, "idempotency-capacity", 0, "how many idempotency keys a new log remembers (default 1000000)")
	f.IntVar(&cfg.SnapshotEvery, "snapshot-every", engine.DefaultSnapshotEvery, "after how many events a snapshot of the state is written, from which the next start goes on")
	f.DurationVar(&cfg.AccessLogRetention, "access-log-retention", accesslog.DefaultMaxAge, "how long refused calls and sensitive reads are kept")
	f.Int64Var(&cfg.AccessLogBytes, "access-log-bytes", accesslog.DefaultMaxBytes, "how many bytes of them are kept at most; the oldest go first")
	f.BoolVar(&cfg.HugePages, "huge-pages", true, "ask Linux for pages of 2 MiB: a large state answers faster")
	f.BoolVar(&verbose, "verbose", false, "log more")
	return cmd
}

func defaultDataDir() string {
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "tenure")
	}
	return "tenure-data"
}

// greet prints where the server is and what to try.
func greet(w io.Writer, a *app.App) {
	if a.NewAdminKey != "" {
		fmt.Fprintf(w, "Instance admin key, shown this once:\n  %s\n\n", a.NewAdminKey)
	}
	fmt.Fprintf(w, "Tenure is at %s. Try, with the instance admin's key:\n", a.URL)
	fmt.Fprintf(w, "  export TENURE_ADMIN_KEY=%s\n", keyOrPlaceholder(a.NewAdminKey))
	for _, line := range [][2]string{
		{"OrgService/CreateOrg", `{"name":"client-acme-corp"}`},
		{"OrgService/ListOrgs", `{}`},
		{"InstanceService/GetInstance", `{}`},
	} {
		fmt.Fprintf(w, "  curl -s %s/tenure.v1.%s -H \"Authorization: Bearer $TENURE_ADMIN_KEY\" -H 'Content-Type: application/json' -d '%s'\n", a.URL, line[0], line[1])
	}
	if a.PrivateURL != "" {
		fmt.Fprintf(w, "Metrics are at %s/metrics.\n", a.PrivateURL)
	}
}

func keyOrPlaceholder(key string) string {
	if key == "" {
		return "<the key shown at the first start, or the one you set>"
	}
	return key
}
