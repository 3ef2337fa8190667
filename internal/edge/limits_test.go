package edge

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// reads answers what became of reading the request's body.
var reads = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case n == 0:
		w.WriteHeader(http.StatusNoContent)
	}
})

// Seen to fail without MaxBytesReader (unknown length) and without the test of ContentLength (the status alone would
// not tell, but the body would be read).
func TestLargeBodyIsRefused(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{Handler: reads, Limits: Limits{BodyBytes: 1000}, StreamPaths: isStream})
	for _, h2c := range []bool{false, true} {
		for _, tc := range []struct {
			path  string
			size  int
			known bool
			want  int
		}{
			{"/", 0, true, http.StatusNoContent},
			{"/", 1000, true, http.StatusOK},
			{"/", 1000, false, http.StatusOK},
			{"/", 1001, true, http.StatusRequestEntityTooLarge},
			{"/", 1001, false, http.StatusRequestEntityTooLarge},
			{"/stream", 100_000, false, http.StatusOK},
		} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", tc.size))
			if !tc.known {
				body = io.MultiReader(body) // hides the length
			}
			resp, err := client(t, h2c).Post("http://"+addr+tc.path, "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("%+v, HTTP/2 %v: %s", tc, h2c, resp.Status)
			}
		}
	}
}

func TestAnnouncedLargeBodyIsNotRead(t *testing.T) {
	t.Parallel()
	addr := start(t, Config{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }),
		Limits:  Limits{BodyBytes: 1000},
	})
	conn := dial(t, addr)
	send(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
}

// One test, because each part proves that the time was up for the others: a slow body is cut off, while a stream and a
// handler that has its body go on. Seen to fail without SetReadDeadline in limitUnary (hangs), with limitUnary for all
// paths (the stream), and with a ReadTimeout of the server in its place (the stream).
func TestOnlySlowBodiesAreCutOff(t *testing.T) {
	t.Parallel()
	cut := make(chan error, 1)
	hasBody, timeIsUp, worked := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		cut <- err
	})
	mux.HandleFunc("/works", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		close(hasBody)
		select {
		case <-timeIsUp:
		case <-r.Context().Done():
			err = r.Context().Err()
		}
		// Nothing may have ended it unnoticed while both were ready.
		worked <- errors.Join(err, r.Context().Err())
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	})
	addr := start(t, Config{
		Handler: mux, StreamPaths: isStream, Limits: Limits{BodyTimeout: 100 * time.Millisecond},
	})

	stream := dial(t, addr)
	send(t, stream, "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(stream), nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, dial(t, addr), "POST /works HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
	<-hasBody

	for range 2 { // one after the other, so that the time of the others is well up
		send(t, dial(t, addr), "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
		select {
		case err := <-cut:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the slow body ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the slow body was not cut off")
		}
	}
	close(timeIsUp)
	if err := <-worked; err != nil {
		t.Errorf("the handler that had its body was cancelled: %v", err)
	}
	send(t, stream, "late")
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != "late" {
		t.Errorf("the stream answered %q, %v", got, err)
	}
}

// Seen to hang without SetReadDeadline.
func TestSlowBodyOfHTTP2IsCutOff(t *testing.T) {
	t.Parallel()
	cut := make(chan error, 1)
	addr := start(t, Config{
		Limits: Limits{BodyTimeout: 50 * time.Millisecond},
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			cut <- err
		}),
	})
	body, never := io.Pipe()
	t.Cleanup(func() { never.Close() })
	resp, err := client(t, true).Post("http://"+addr, "text/plain", body)
	if err == nil {
		resp.Body.Close()
	}
	select {
	case err := <-cut:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the slow body ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the slow body was not cut off")
	}
}

// Seen to hang without release (the last stream) and without the limit (the third).
func TestStreamsPerClient(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	addr := start(t, Config{
		Limits: Limits{ClientStreams: 2}, StreamPaths: isStream, Proxies: proxies(t, "127.0.0.1"),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				entered <- struct{}{}
				<-leave
			}
		}),
	})
	c := client(t, true)
	status := make(chan int, 1)
	request := func(path, from string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Error(err)
		}
		r.Header.Set("X-Forwarded-For", from)
		resp, err := c.Do(r)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		status <- resp.StatusCode
	}
	open := func(from string) { go request("/stream", from); <-entered }
	want := func(code int) {
		t.Helper()
		if got := <-status; got != code {
			t.Errorf("status %d, want %d", got, code)
		}
	}
	open("203.0.113.1")
	open("203.0.113.1")
	request("/stream", "203.0.113.1")
	want(http.StatusTooManyRequests)
	request("/unary", "203.0.113.1")
	want(http.StatusOK)
	open("203.0.113.2")
	for range 3 {
		leave <- struct{}{}
		want(http.StatusOK)
	}
	open("203.0.113.1")
	leave <- struct{}{}
	want(http.StatusOK)
}
