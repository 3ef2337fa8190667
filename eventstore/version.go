package eventstore

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// MinServerVersion is the oldest nats-server that the log was proven on.
const MinServerVersion = "2.15.2"

// checkServerVersion returns an error that says what to do if the server conn is connected to is too old.
func checkServerVersion(conn *nats.Conn) error {
	v := conn.ConnectedServerVersion()
	if v == "" {
		return fmt.Errorf("not connected to a NATS server: %w", nats.ErrDisconnected)
	}
	return checkVersion(v)
}

func checkVersion(v string) error {
	have, err := parseVersion(v)
	if err != nil {
		return err
	}
	want, err := parseVersion(MinServerVersion)
	if err != nil {
		return err
	}
	for i := range want {
		if have[i] != want[i] {
			if have[i] < want[i] {
				return fmt.Errorf("NATS server %s is too old: upgrade it to %s or newer", v, MinServerVersion)
			}
			return nil
		}
	}
	return nil
}

// parseVersion reads major, minor and patch; what follows, such as "-RC.1", is not looked at.
func parseVersion(v string) (parts [3]int, err error) {
	if _, err := fmt.Sscanf(v, "%d.%d.%d", &parts[0], &parts[1], &parts[2]); err != nil {
		return parts, fmt.Errorf("NATS server version %q is not understood: %w", v, err)
	}
	return parts, nil
}
