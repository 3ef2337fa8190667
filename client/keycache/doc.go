// Package keycache verifies API keys of Tenure in the services that are called with them: from a cache in memory that Tenure keeps
// current, and so in about a microsecond.
package keycache
