// Package fedmq is federated learning as a citizen of the Unified Namespace:
// sites train one model, each on its own data; only model parameters travel,
// over the MQTT broker that the plant already runs; an aggregator combines
// them exactly, and puts the improved model back on a retained topic.
//
// The command is cmd/fedmq, and "go run ./cmd/fedmq demo" shows all of it. To
// put a program of your own under federation, implement the Trainer interface
// of package trainer and hand it to package site. The other public packages:
//
//   - topics: the topic tree, and the access rules that follow from it
//   - model: tensors, schemas, content ids, safetensors, built-in models
//   - wire: the messages, their signatures and their limits
//   - aggregator and strategy: the rounds, and how updates combine
//   - record: the hash-chained record of every round
//   - broker: an embedded MQTT broker, for trying and for small plants
//
// This package itself holds documentation only. docs/spec is the protocol,
// docs/adr the decisions behind it.
package fedmq
