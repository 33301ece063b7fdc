// Package nettest holds the tests over slow and broken networks: real sockets, real
// time, through toxiproxy, and between network namespaces with tc netem.
//
// It is a module of its own, so that what only these tests need stays out of the
// product's go.mod. Run it with "make nets"; -full takes a model of 1 MB over
// 64 kbit/s, which the default cuts down to 96 kB. What a machine cannot do (no
// root, no netem) is skipped, and says so.
//
// It never leaves a namespace or a process behind, and reaches no other machine.
package nettest
