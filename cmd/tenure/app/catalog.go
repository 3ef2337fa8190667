package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/tenurehq/tenure/domain"
	"github.com/tenurehq/tenure/internal/engine"
)

var permissionForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,48}:[A-Za-z][A-Za-z0-9_-]{0,48}$`)

// extendCatalog makes the permissions in a file the operator's own. The file is a list under `permissions`, each with level
// (organization or project), name (resource:action) and role (the weakest built-in one that holds it). It becomes part of the
// log, so that one server with the file is enough; permissions that are no longer in it can't be held any more.
func (a *App) extendCatalog(ctx context.Context, path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("permissions file: %w", err)
	}
	var file struct {
		Permissions []struct {
			Level string `yaml:"level"`
			Name  string `yaml:"name"`
			Role  string `yaml:"role"`
		} `yaml:"permissions"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return fmt.Errorf("permissions file %s: %w", path, err)
	}
	c := domain.ExtendCatalog{}
	for _, p := range file.Permissions {
		if !permissionForm.MatchString(p.Name) {
			return fmt.Errorf("permissions file %s: %q is not of the form resource:action", path, p.Name)
		}
		c.Own = append(c.Own, domain.CatalogEntry{Level: domain.ParseLevel(p.Level), Name: p.Name, From: domain.Role(p.Role)})
	}
	out, err := a.Engine.Execute(ctx, engine.Request{
		Command: c, Rule: domain.Rule{Requirement: domain.Anyone}, Actor: domain.Actor{Kind: domain.ActorSystem},
	})
	if err != nil {
		return fmt.Errorf("permissions file %s: %w", path, err)
	}
	if len(out.Events) > 0 {
		a.cfg.Logger.Info("the catalog has new permissions of this installation's own", "permissions", len(c.Own))
	}
	return nil
}
