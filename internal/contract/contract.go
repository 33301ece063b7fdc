// Package contract checks fedmq's JSON against the schemas of docs/ref/schema,
// for tests: [Load] reads them, [Schemas.Check] checks one payload. Its own
// tests make the schemas from the Go types that are published, and
// docs/ref/asyncapi.yaml from package topics; `make contract` writes both anew.
//
// It is no part of the program: nothing validates its own messages at run time.
package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/fedmq/fedmq/topics"
)

// Kinds are the topics with JSON, each with a schema of its name.
var Kinds = []topics.Kind{
	topics.State, topics.Round, topics.KPI, topics.Event, topics.Record, topics.History, topics.Statistics, topics.ModelAt, topics.Status, topics.Command,
}

// Schemas are the schemas by kind of topic.
type Schemas map[topics.Kind]*jsonschema.Resolved

// Load reads the schemas below a checkout's root.
func Load(root string) (Schemas, error) {
	all := Schemas{}
	for _, k := range Kinds {
		name := filepath.Join(root, "docs", "ref", "schema", k.String()+".json")
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var s jsonschema.Schema
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if all[k], err = s.Resolve(nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

// Check says what of a payload is not as the schema of its kind wants it.
func (s Schemas) Check(k topics.Kind, payload []byte) error {
	r, ok := s[k]
	if !ok {
		return fmt.Errorf("contract: no schema of %q", k)
	}
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		return fmt.Errorf("contract: %s: %w", k, err)
	}
	return r.Validate(v)
}
