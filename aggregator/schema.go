package aggregator

import (
	"reflect"

	"github.com/fedmq/fedmq/topics"
)

// Views returns the Go types of what an aggregator publishes as JSON, and of
// the command that it takes, by kind of topic; a kind with two has two forms.
// The schemas of docs/ref/schema are made from them. The head of a record is
// record.Head.
func Views() map[topics.Kind][]reflect.Type {
	return map[topics.Kind][]reflect.Type{
		topics.State:   {reflect.TypeFor[stateView]()},
		topics.Round:   {reflect.TypeFor[roundView]()},
		topics.KPI:     {reflect.TypeFor[kpi]()},
		topics.History: {reflect.TypeFor[historyView]()},
		topics.Event:   {reflect.TypeFor[eventView](), reflect.TypeFor[quietView]()},
		topics.Command: {reflect.TypeFor[Command]()},
	}
}
