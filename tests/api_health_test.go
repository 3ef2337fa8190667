package tests

import (
	"bytes"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/tenurehq/tenure/internal/rpc"
)

// rawCodec carries bytes as they are: the messages of gRPC's own services are small enough to write by hand.
type rawCodec struct{}

func (rawCodec) Name() string                    { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = bytes.Clone(b); return nil }

// gRPC health says SERVING of the server and of each service over every protocol, without credentials, and knows no other
// service. Seen to fail when healthOf knows every name.
func TestAPIHealth(t *testing.T) {
	t.Parallel()
	s := apiStart(t, nil)
	const serving = "\x08\x01" // field 1 of HealthCheckResponse, SERVING
	for protocol, option := range map[string]connect.ClientOption{
		"gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(), "Connect": connect.WithClientOptions(),
	} {
		client := connect.NewClient[[]byte, []byte](apiH2C(t), s.URL+"/grpc.health.v1.Health/Check", connect.WithCodec(rawCodec{}), option)
		check := func(service string) (string, error) {
			request := []byte("\x0a" + string(rune(len(service))) + service) // field 1 of HealthCheckRequest
			res, err := client.CallUnary(t.Context(), connect.NewRequest(&request))
			if err != nil {
				return "", err
			}
			return string(*res.Msg), nil
		}
		for _, service := range append([]string{""}, rpc.Services...) {
			if got, err := check(service); err != nil || got != serving {
				t.Errorf("%s: health of %q is %x, %v", protocol, service, got, err)
			}
		}
		if _, err := check("tenure.v1.NoSuchService"); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: health of an unknown service: %v", protocol, err)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}
