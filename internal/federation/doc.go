// Package federation holds tests of whole federations and nothing else.
package federation
