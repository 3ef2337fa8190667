// Package readmodel keeps read models in SQL: in PostgreSQL, or in SQLite files where nothing is to be installed. One SQL text serves
// both; what differs stands in postgres.go and sqlite.go.
//
// A read model is built in generations. A generation is a PostgreSQL schema of its own, or a SQLite file of its own, which holds
// its checkpoint beside its rows, so that one transaction moves both. At most one generation of a name is live; another can be
// built beside it and take its place.
package readmodel
