package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/topics"
)

type topicsCmd struct {
	Config    string   `short:"c" type:"existingfile" placeholder:"FILE" help:"Take broker, namespace, owner and members from an aggregator's configuration."`
	Namespace string   `short:"n" default:"acme" help:"Enterprise prefix of the UNS."`
	Owner     string   `placeholder:"PATH" help:"Node that owns the tasks, below the namespace; empty for the namespace itself."`
	Bulk      string   `placeholder:"TOPIC" help:"Root of updates and models beside the namespace, if the aggregator has one (bulk)."`
	Member    []string `short:"m" placeholder:"FILTER" help:"UNS filter of members below the namespace, such as +/line-1; may be repeated. Default: members at every depth."`
	Consumer  []string `placeholder:"FILTER" help:"UNS filter of the nodes that use what is released; may be repeated. Default: those of the configuration."`
	Watch     bool     `help:"Print the filters that a watcher subscribes to, one a line."`
	Bridge    string   `enum:",mosquitto" default:"" help:"Print the bridge from a plant's broker to the aggregator's, as configuration of this broker: mosquitto."`
	Clear     string   `placeholder:"TASK" help:"Take off the broker what a task that has ended retained, with the user of the configuration or of --username."`
	Force     bool     `help:"Clear a task also while it runs."`
	Broker    string   `short:"b" placeholder:"URL" help:"Broker of the aggregator: for the example command of --watch, for --bridge and --clear; default: that of the configuration, or tcp://127.0.0.1:1883."`
	accessFlags

	tasks   []string // of the configuration
	dataDir string   // likewise
}

func (topicsCmd) Help() string {
	return `Without --watch, --bridge and --clear it prints the tree: which topics there are, and who writes them.

With --watch it prints the filters of everything that is JSON to standard output, and a
mosquitto_sub command for them to standard error.

With --bridge=mosquitto it prints lines for the mosquitto.conf of a plant. --member names the
plant's sites; without it they are those of the configuration. More: docs/howto/bridge.md.

With --clear=TASK it clears the retained topics of a task that has ended: those of the owner, with
all parts of models, and the members' status. It prints what is gone, and fails where something
stays. A task that has not ended, or that an aggregator that is online still serves, is refused. Where
the broker gives no retained messages through wildcards, members are those of --member, of the
configuration, and of the records in its data_dir.

  fedmq topics -n acme --watch
  fedmq topics -c aggregator.yaml --bridge=mosquitto -b tls://broker.example:8883
  fedmq topics -c aggregator.yaml --clear=quality`
}

// row is one line of the tree: a topic with placeholders, and what it holds.
type row struct{ topic, by, payload, retained, what string }

func (c *topicsCmd) Run(ctx context.Context, logs *logFlags) error {
	if c.Config != "" {
		var f aggregatorFile
		if err := loadYAML(c.Config, &f); err != nil {
			return usageError{err}
		}
		c.takeFrom(f.Connection, filepath.Dir(c.Config))
		c.Namespace, c.Owner, c.Bulk = f.Connection.Namespace, f.Owner, f.Bulk
		c.fromTasks(f.Tasks)
	}
	c.Broker = cmp.Or(c.Broker, usualBroker)
	ns, err := topics.Configured(c.Namespace, c.Bulk)
	if err != nil {
		return usageError{err}
	}
	if c.Owner != "" {
		if err := topics.CheckPath(c.Owner); err != nil {
			return usageError{err}
		}
	}
	switch {
	case c.Watch:
		return c.watch(ns)
	case c.Bridge != "":
		return c.bridge(ns)
	case c.Clear != "":
		return c.clear(ctx, logs.quiet(), ns)
	}
	c.tree(ns)
	return nil
}

// takeFrom takes from a configuration in dir how the broker is reached, and where
// records are.
func (c *topicsCmd) takeFrom(from connection, dir string) {
	f := clientFlags{c.Broker, c.accessFlags}
	f.takeFrom(from, dir)
	c.Broker, c.accessFlags, c.dataDir = f.Broker, f.accessFlags, at(dir, from.DataDir)
}

// tree prints which topics there are.
func (c *topicsCmd) tree(ns topics.Namespace) {
	owner := ns.Node(c.Owner) + "/" + topics.Marker + "/"
	member := ns.String() + "/<member>/" + topics.Marker + "/"
	models, updates := owner, member
	if c.Bulk != "" {
		models = strings.Replace(owner, ns.String(), c.Bulk, 1)
		updates = strings.Replace(member, ns.String(), c.Bulk, 1)
	}
	for _, r := range []row{
		{owner + "state", "aggregator", "JSON", "yes", "presence, Last Will"},
		{owner + "<task>/round", "aggregator", "JSON", "yes", "the current round"},
		{owner + "<task>/kpi/<name>", "aggregator", "JSON", "yes", "one number each"},
		{owner + "<task>/event", "aggregator", "JSON", "no", "one fact each"},
		{owner + "<task>/record", "aggregator", "JSON", "yes", "head of the last round's record"},
		{owner + "<task>/history", "aggregator", "JSON", "yes", "the course of its numbers"},
		{owner + "<task>/statistics", "aggregator", "JSON", "yes", "what a task of statistics has gathered"},
		{owner + "<task>/order", "aggregator", "msgpack", "yes", "what sites are to do"},
		{owner + "<task>/model_at", "aggregator", "JSON", "yes", "where the model is, its version and hash"},
		{models + "<task>/model", "aggregator", "msgpack", "yes", "the global model, or its manifest"},
		{models + "<task>/model/<slot>/<i>", "aggregator", "msgpack", "yes", "a part of a large model"},
		{models + "<task>/released", "aggregator", "msgpack", "yes", "the version released for use, as model"},
		{models + "<task>/released/<slot>/<i>", "aggregator", "msgpack", "yes", "a part of it"},
		{models + "<task>/canary", "aggregator", "msgpack", "yes", "a version that some nodes run first, as model"},
		{models + "<task>/canary/<slot>/<i>", "aggregator", "msgpack", "yes", "a part of it"},
		{owner + "<task>/reply/<member>", "aggregator", "msgpack", "no", "answers to one member"},
		{owner + "<task>/command", "operator", "JSON", "never", "start, pause, pause_now, resume, stop, exclude, include, release, rollback, set"},
		{member + "state", "site", "JSON", "yes", "presence, Last Will"},
		{member + "<task>/status", "site", "JSON", "yes", "phase, progress, metrics"},
		{member + "<task>/join", "site", "msgpack", "no", "takes part"},
		{updates + "<task>/update", "site", "msgpack", "no", "an update, its offer, or a decline"},
		{updates + "<task>/part", "site", "msgpack", "no", "a part of a large update"},
		{member + "<task>/need", "site", "msgpack", "no", "parts of the model that did not come"},
	} {
		fmt.Fprintf(stdout, "%-44s %-11s %-8s %-6s %s\n", r.topic, r.by, r.payload, r.retained, r.what)
	}
}

// fromTasks takes the names of tasks and their members; those of a plant are given
// with --bridge, and --clear wants those of one task.
func (c *topicsCmd) fromTasks(tasks []taskFile) {
	given := (c.Bridge != "" || c.Clear != "") && len(c.Member) > 0
	for _, t := range tasks {
		c.tasks = append(c.tasks, t.Name)
		if !given && (c.Clear == "" || c.Clear == t.Name) {
			c.Member, c.Consumer = append(c.Member, t.Members...), append(c.Consumer, t.Consumers...)
		}
	}
}

func (c *topicsCmd) watch(ns topics.Namespace) error {
	filters, err := watchFilters(ns, c.Owner, c.Member, c.Consumer)
	if err != nil {
		return usageError{err}
	}
	for _, f := range filters {
		fmt.Fprintln(stdout, f)
	}
	fmt.Fprintln(os.Stderr, "\n"+mosquittoSub(c.Broker, filters))
	return nil
}

// watchFilters are what a watcher may read: every JSON topic of the owner and
// of the members.
func watchFilters(ns topics.Namespace, owner string, members, consumers []string) ([]string, error) {
	filters, err := memberFilters(members)
	if err != nil {
		return nil, err
	}
	uses, err := memberFilters(consumers)
	if err != nil {
		return nil, err
	}
	return watch.Filters(ns, owner, filters, uses), nil
}

func memberFilters(members []string) (out []topics.MemberFilter, err error) {
	for _, m := range members {
		f, err := topics.ParseMemberFilter(m)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// mosquittoSub is a command line that prints what arrives on filters.
func mosquittoSub(broker string, filters []string) string {
	host, port := hostPort(link.Addresses(broker)[0])
	var b strings.Builder
	fmt.Fprintf(&b, "mosquitto_sub -h %s -p %s -v", host, port)
	for _, f := range filters {
		b.WriteString(" -t " + shellWord(f))
	}
	return b.String()
}

// hostPort takes host and port out of a broker's URL.
func hostPort(broker string) (host, port string) {
	host, port = "127.0.0.1", "1883"
	if u, err := url.Parse(broker); err == nil && u.Hostname() != "" {
		host = u.Hostname()
		if secure(broker) {
			port = "8883"
		}
		if u.Port() != "" {
			port = u.Port()
		}
	} else if h, p, err := net.SplitHostPort(broker); err == nil {
		host, port = h, p
	}
	return host, port
}

// secure reports whether a broker's URL asks for TLS.
func secure(broker string) bool {
	scheme, _, _ := strings.Cut(broker, "://")
	return slices.Contains([]string{"tls", "ssl", "mqtts"}, strings.ToLower(scheme))
}
