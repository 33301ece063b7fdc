package contract_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/contract"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

var update = flag.Bool("update", false, "write docs/ref/schema and docs/ref/asyncapi.yaml anew")

var titles = map[topics.Kind]string{
	topics.State:      "Presence of an aggregator, a site or a consumer, and with online false its Last Will",
	topics.Round:      "The current round of a task, for people",
	topics.KPI:        "One number of the last round, for historians",
	topics.Event:      "One fact, or the sum of a second of facts",
	topics.Record:     "Head of the last round's record (docs/spec/record.md, RC-12)",
	topics.History:    "The course of a task's numbers, in columns",
	topics.Statistics: "What a task of statistics has gathered (docs/spec/fold.md, F-36)",
	topics.ModelAt:    "Where the newest model is, for people",
	topics.Status:     "What a site does in a task, or what a consumer runs",
	topics.Command:    "An operator's command (docs/spec/rounds.md, R-60 to R-64)",
}

// names gives the value of the member "schema".
var names = map[topics.Kind]string{
	topics.State: site.StateSchema, topics.Round: view.RoundSchema, topics.Event: view.EventSchema,
	topics.History: view.HistorySchema, topics.Statistics: view.StatisticsSchema, topics.ModelAt: view.ModelAtSchema,
	topics.Record: record.SchemaHead, topics.Status: site.StatusSchema, topics.Command: aggregator.CommandSchema,
}

// strict are the kinds whose readers refuse keys they do not know (T-18).
var strict = []topics.Kind{topics.Command, topics.Record}

// The files in docs/ref/schema are what the published types give.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, k := range contract.Kinds {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(schemaOf(t, k)); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("schema", k.String()+".json"), b.Bytes())
	}
}

// golden compares a file of docs/ref, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	name = filepath.Join(root, "docs", "ref", name)
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil { // a page
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale, `make contract` writes it anew: - wanted, + there:\n%s", name, diff)
	}
}

// types lists the Go types published on a kind of topic; two are two forms.
var types = map[topics.Kind][]reflect.Type{
	topics.State:      {reflect.TypeFor[view.State](), reflect.TypeFor[site.State]()},
	topics.Round:      {reflect.TypeFor[view.Round]()},
	topics.KPI:        {reflect.TypeFor[view.KPI]()},
	topics.History:    {reflect.TypeFor[view.History]()},
	topics.Statistics: {reflect.TypeFor[view.Statistics]()},
	topics.ModelAt:    {reflect.TypeFor[view.ModelAt]()},
	topics.Event:      {reflect.TypeFor[view.Event](), reflect.TypeFor[view.Counts]()},
	topics.Record:     {reflect.TypeFor[record.Head]()},
	topics.Status:     {reflect.TypeFor[site.Status](), reflect.TypeFor[view.Consumer]()},
	topics.Command:    {reflect.TypeFor[aggregator.Command]()},
}

func schemaOf(t *testing.T, k topics.Kind) *jsonschema.Schema {
	t.Helper()
	s := infer(t, types[k][0])
	for _, typ := range types[k][1:] {
		merge(s, infer(t, typ))
	}
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", titles[k]
	if name := names[k]; name != "" {
		s.Properties["schema"] = &jsonschema.Schema{Type: "string", Const: new(any(name))}
	}
	if k == topics.Status {
		s.Properties["schema"] = &jsonschema.Schema{Type: "string", Enum: []any{site.StatusSchema, view.ConsumerSchema}}
	}
	refine(s, k)
	if slices.Contains(strict, k) {
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
	}
	return s
}

// infer makes the schema of a struct, with the comments of its fields.
func infer(t *testing.T, typ reflect.Type) *jsonschema.Schema {
	t.Helper()
	words := func(typ reflect.Type) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Enum: wordsOf(t, typ)}
	}
	special := map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[wire.Nonce]():      {Type: "string", Pattern: "^([0-9a-f]{32})?$"},
		reflect.TypeFor[json.RawMessage](): {Type: "object"},
		reflect.TypeFor[model.Hash]():      {Type: "string", Pattern: "^([0-9a-f]{64})?$"},
		reflect.TypeFor[record.Bitmap]():   {Types: []string{"string", "null"}, ContentEncoding: "base64"},
	}
	for _, w := range []reflect.Type{
		reflect.TypeFor[round.Phase](), reflect.TypeFor[round.Op](), reflect.TypeFor[round.Why](), reflect.TypeFor[round.Do](), reflect.TypeFor[view.Without](), reflect.TypeFor[member.Phase](),
	} {
		special[w] = words(w)
	}
	facts := words(reflect.TypeFor[round.FactKind]())
	special[reflect.TypeFor[round.FactKind]()] = facts
	special[reflect.TypeFor[map[round.FactKind]int]()] = &jsonschema.Schema{
		Type: "object", PropertyNames: facts, AdditionalProperties: &jsonschema.Schema{Type: "integer"},
	}
	s, err := jsonschema.ForType(typ, &jsonschema.ForOptions{TypeSchemas: special})
	if err != nil {
		t.Fatal(err)
	}
	describe(t, typ, s)
	return s
}

// describe adds what the Go source says of each field. Readers ignore keys that
// they do not know (T-18), so the schemas allow them; what is there has its type: fedmq
// writes null for a bitmap only.
func describe(t *testing.T, typ reflect.Type, s *jsonschema.Schema) {
	t.Helper()
	s.AdditionalProperties = nil
	fields := sourceOf(t, pathOf(typ)).fields[typ.Name()]
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[name]
		if p == nil {
			continue
		}
		if p.Description = fields[f.Name]; p.Description == "" {
			p.Description = units(name)
		}
		if len(p.Types) == 2 && p.ContentEncoding == "" {
			p.Type, p.Types = p.Types[1], nil
		}
		ft := f.Type
		for ft.Kind() == reflect.Pointer || ft.Kind() == reflect.Slice {
			if ft.Kind() == reflect.Slice && p.Items != nil {
				p = p.Items
			}
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && p.Properties != nil {
			describe(t, ft, p)
		}
	}
}

// units says the unit of a field that its name alone explains.
func units(name string) string {
	switch {
	case strings.HasSuffix(name, "_ms"):
		return "milliseconds since 1970, UTC"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case name == "seconds":
		return "from the order to the record"
	}
	return ""
}

// merge makes one schema of two forms: what one of them has is allowed, what
// both have always is required.
func merge(s, o *jsonschema.Schema) {
	for name, p := range o.Properties {
		if s.Properties[name] == nil {
			s.Properties[name] = p
		}
	}
	s.Required = slices.DeleteFunc(s.Required, func(name string) bool { return !slices.Contains(o.Required, name) })
}

// refine adds what a Go type cannot say.
func refine(s *jsonschema.Schema, k topics.Kind) {
	words := func(list ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: list} }
	put := func(name string, p *jsonschema.Schema) {
		p.Description = s.Properties[name].Description
		s.Properties[name] = p
	}
	if s.Properties["security"] != nil {
		put("security", words(record.Signed, record.Unsigned))
	}
	var refusals, verdicts []any
	for _, r := range verdict.All() {
		verdicts = append(verdicts, r.String())
		if r.Refusal() {
			refusals = append(refusals, r.String())
		}
	}
	switch k {
	case topics.State:
		s.Properties["roles"].Items.Enum = []any{"aggregator", "site", "consumer"}
	case topics.Round:
		put("work", words(wire.WorkNone, wire.WorkStatistics, wire.WorkTrain, wire.WorkEvaluate))
		s.Properties["refusals"].PropertyNames = words(refusals...)
	case topics.Event:
		e := s.Properties["event"]
		e.Enum = append(e.Enum, "summary")
		put("reason", words(refusals...))
		put("work", words(wire.WorkNone, wire.WorkStatistics, wire.WorkTrain, wire.WorkEvaluate, record.WorkRollback))
		s.Properties["count"].Description = "members, or with waiting milliseconds"
		s.Properties["counts"].Description = "with summary: facts by kind"
	case topics.Record:
		put("verdict", words(record.Committed, record.Abandoned, record.Adopted))
		put("work", words("init", "train", "evaluate", "statistics", "rollback"))
		s.Properties["counts"].PropertyNames = words(verdicts...)
		s.Properties["sig"].Pattern = "^[0-9a-f]{16}:[A-Za-z0-9+/]+=*$"
	case topics.Status:
		s.Properties["progress"].Minimum, s.Properties["progress"].Maximum = new(0.0), new(1.0)
	case topics.Command:
		id := s.Properties["id"]
		id.MinLength, id.MaxLength = new(1), new(64)
		s.Properties["timestamp_ms"].Description += "; milliseconds since 1970, UTC"
		s.Properties["sig"] = &jsonschema.Schema{
			Type: "string", Pattern: "^[0-9a-f]{16}:[A-Za-z0-9+/]+=*$",
			Description: "on a signed task: the signature of a listed operator (RC-14)",
		}
		s.Required = []string{"schema", "id", "command"}
	}
}
