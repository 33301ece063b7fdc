// Package group ends a program together with what it has started.
//
// Call [Apart] before the program starts, [Terminate] to ask all of it to end, [Kill] where it
// does not, and [Sweep] for what it has left.
package group
