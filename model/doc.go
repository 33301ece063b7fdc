// Package model describes a federated model as plain data: a [Schema] of named
// tensors and one raw little-endian blob that holds their values.
//
// Start with [NewSchema] and [New], with [Arch.New] for a built-in architecture,
// or with [ReadSafetensorsFile] for a model made elsewhere. A [Hash] names
// the values, [Schema.Hash] names the layout.
//
// The package never does arithmetic on values beyond drawing an initial model,
// never talks to a network, and needs the standard library only.
package model
