package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// After an answer that ends the connection net/http lingers for half a second, whatever is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// start serves on a port of 127.0.0.1 until the end of the test.
func start(t testing.TB, c Config) (addr string) {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, served := NewServer(c), make(chan error, 1)
	go func() { served <- Serve(server, listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return listener.Addr().String()
}

// client has connections of its own, HTTP/2 without TLS if asked.
func client(t testing.TB, h2c bool) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2c)
	transport.Protocols.SetUnencryptedHTTP2(h2c)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// dial opens a connection that cannot hang the test.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t testing.TB, w io.Writer, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		t.Fatal(err)
	}
}

func isStream(path string) bool { return path == "/stream" }

// Seen to fail without SetUnencryptedHTTP2, and without secureHeaders.
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Proto, " ", string(body), " ", err, " ", ClientIPFrom(r.Context()))
	})})
	for h2c, want := range map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"} {
		resp, err := client(t, h2c).Post("http://"+addr, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want += " hello <nil> 127.0.0.1"; err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

// Seen to fail without ReadHeaderTimeout: the connection then stays until the test's own deadline.
func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{Limits: Limits{HeaderTimeout: 50 * time.Millisecond}})
	for _, beginning := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "} {
		conn := dial(t, addr)
		send(t, conn, "%s", beginning)
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q keeps the connection open", beginning)
		}
	}
}

// Seen to fail without MaxHeaderBytes.
func TestLargeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{})
	conn := dial(t, addr)
	// Not all of it may be taken before the server hangs up.
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 80<<10))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if line != "" && !strings.Contains(line, "431") {
		t.Errorf("answered %q", line)
	}
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

// Seen to fail without SetWriteDeadline.
func TestAnswerThatNobodyTakesIsCutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	addr := start(t, Config{
		Limits: Limits{AnswerTimeout: 50 * time.Millisecond},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					ended <- err
					return
				}
			}
		}),
	})
	conn := dial(t, addr)
	send(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the handler still writes")
	}
}

// Importing net/http/pprof puts it on the default mux, which must not be what is served. Seen
// to fail with no default for the handler.
func TestNoHandlerServesNothing(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{})
	for _, path := range []string{"/", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		resp, err := client(t, false).Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %s", path, resp.Status)
		}
	}
}

// Seen to hang without the Close in Shutdown.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		grace time.Duration
		cut   bool
	}{
		"lets requests end": {time.Minute, false},
		"cuts off the rest": {time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entered, release := make(chan struct{}), make(chan struct{})
			server := NewServer(Config{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(entered)
				select {
				case <-release:
				case <-r.Context().Done():
				}
			})})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served, answered := make(chan error, 1), make(chan error, 1)
			go func() { served <- Serve(server, listener) }()
			c := client(t, false)
			go func() {
				resp, err := c.Get("http://" + listener.Addr().String())
				if err == nil {
					resp.Body.Close()
				}
				answered <- err
			}()
			<-entered
			server.RegisterOnShutdown(func() {
				if !tc.cut {
					close(release)
				}
			})
			if err := Shutdown(server, tc.grace); (err != nil) != tc.cut || tc.cut && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown = %v", err)
			}
			if err := <-answered; (err != nil) != tc.cut {
				t.Errorf("the running request: %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve = %v", err)
			}
		})
	}
}
