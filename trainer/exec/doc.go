// Package exec trains with a program of any language: it starts the program,
// talks JSON lines over its standard input and output, and hands the weights
// over as safetensors files. docs/spec/trainer.md states the protocol by number
// (X-1 ...); the code cites it.
//
// [Start] starts the program and learns how many rows it has; [Trainer.Site]
// is what a site is given. A program that dies costs the round it was in: it
// is started again for the next one. [Serve] is the other side, for programs in
// Go; the Python package fedmq_trainer is the same for Python.
//
// The package never lets a program hold up a site longer than its request's
// context and the times of X-13, never leaves a process behind, and believes
// nothing that a program writes before it has checked it.
package exec
