// Package layers holds the import rules of fedmq: which package may import
// which, which library belongs to whom, and what the pure machines keep out.
//
// Its test runs [Check] over the whole module. A new package, or a new
// library, is a violation until it has a line in tables_test.go. All of it is
// tests.
package layers
