// Package examples holds the inputs that the documentation and `tenure demo` use, so that they work from any directory.
package examples

import _ "embed"

// Tenancy is tenancy.yaml: a platform team's organizations, projects, people and keys.
//
//go:embed tenancy.yaml
var Tenancy []byte
