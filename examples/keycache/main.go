// Program keycache is a small service that is called with API keys of Tenure. It verifies them from memory, and tells whom it refused and
// when:
//
//	tenure serve --data-dir ./tenure-data
//	TENURE_KEY=<secret of a key of the instance> go run ./examples/keycache --tenure http://127.0.0.1:8080 [--redis redis://127.0.0.1:6379]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/rueidis"

	"github.com/tenurehq/tenure/client/keycache"
	"github.com/tenurehq/tenure/client/keycache/redissource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	tenure := flag.String("tenure", "http://127.0.0.1:8080", "where Tenure is")
	redis := flag.String("redis", "", "the Redis of tenure serve --redis-url; without it changes are heard from Tenure itself")
	listen := flag.String("listen", "127.0.0.1:9090", "where to serve")
	flag.Parse()
	cfg := keycache.Config{URL: *tenure, Key: os.Getenv("TENURE_KEY")}
	if *redis != "" {
		option, err := rueidis.ParseURL(*redis)
		if err != nil {
			return err
		}
		cfg.Source = redissource.New(option, "")
	}
	cache, err := keycache.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer cache.Close()

	m := keycache.Middleware{Cache: cache, EnvironmentHeader: "X-Environment", Refused: func(r *http.Request, refusal *keycache.Refusal) {
		fmt.Println(time.Now().Format("15:04:05.000"), "refused", r.Method, r.URL.Path, "from", r.RemoteAddr, refusal.Reason)
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		a, _ := keycache.FromContext(r.Context())
		fmt.Fprintln(w, a.KeyID, "of project", a.ProjectID, "in organization", a.OrgID)
	})
	mux.Handle("POST /scores", m.Require("scores:CUD", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "taken")
	})))

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println("serving at http://" + listener.Addr().String())
	server := &http.Server{Handler: m.Handler(mux), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}
