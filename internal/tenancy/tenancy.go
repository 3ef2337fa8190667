// Package tenancy reads organizations, projects, people and keys from YAML and takes them in through the API.
package tenancy

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// File is what a YAML file describes.
type File struct {
	Users         []User `yaml:"users"`
	Organizations []Org  `yaml:"organizations"`
}

// User is a person, whom everything else names by e-mail.
type User struct {
	Email string `yaml:"email"`
	Name  string `yaml:"name"`
}

// Org is an organization with what is in it.
type Org struct {
	Name     string            `yaml:"name"`
	Metadata map[string]string `yaml:"metadata"`
	Members  []Member          `yaml:"members"`
	Projects []Project         `yaml:"projects"`
	Keys     []Key             `yaml:"keys"`
}

// Member is a person's role in an organization, or override in a project.
type Member struct {
	Email string `yaml:"email"`
	Role  string `yaml:"role"`
}

// Project is a project with its overrides and keys.
type Project struct {
	Name          string            `yaml:"name"`
	Metadata      map[string]string `yaml:"metadata"`
	RetentionDays uint32            `yaml:"retention_days"`
	Environments  []string          `yaml:"environments"`
	Overrides     []Member          `yaml:"overrides"`
	Keys          []Key             `yaml:"keys"`
}

// Key is an API key to make.
type Key struct {
	Name         string   `yaml:"name"`
	Note         string   `yaml:"note"`
	Preset       string   `yaml:"preset"`
	Environments []string `yaml:"environments"`
}

// Parse reads a file. A field it does not know is an error, because it is most likely a typing mistake.
func Parse(text []byte) (*File, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var f File
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("tenancy: %w", err)
	}
	known := map[string]bool{}
	for _, u := range f.Users {
		known[u.Email] = true
	}
	for _, o := range f.Organizations {
		members := o.Members
		for _, p := range o.Projects {
			members = append(members[:len(members):len(members)], p.Overrides...)
		}
		for _, m := range members {
			if !known[m.Email] {
				return nil, fmt.Errorf("tenancy: organization %s names %s, who is not among the users", o.Name, m.Email)
			}
		}
	}
	return &f, nil
}
