package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/link"
)

type doctorCmd struct {
	URL      string `arg:"" optional:"" name:"url" help:"Broker URL: tcp://, tls://, ws://, wss://."`
	Config   string `short:"c" type:"existingfile" placeholder:"FILE" help:"Instead, try what the party of this configuration, a site or an aggregator, writes and reads, with its own user, and print the lines that the broker's access list lacks."`
	As       string `type:"existingfile" placeholder:"FILE" help:"With --config or --consumer: configuration of the other party, which says what this one is to hear."`
	Consumer string `placeholder:"PATH" help:"Instead, try what a node at this path that uses the released version of --task writes and reads, with its user; --as names the aggregator's configuration."`
	Task     string `short:"t" placeholder:"NAME" help:"With --consumer: name of the task."`
	Owner    string `placeholder:"PATH" help:"With --consumer: node that owns the task, below the namespace; empty for the namespace itself."`
	Bulk     string `placeholder:"TOPIC" help:"With --consumer: root of models beside the namespace, if the aggregator has one (bulk)."`
	accessFlags
	Namespace string `short:"n" default:"acme" help:"Enterprise prefix of the UNS."`
	Node      string `placeholder:"PATH" help:"Path below the namespace of the node whose topics are used; default: fedmq-doctor/<random>."`
	Gentle    bool   `help:"Publish about a tenth: for a broker in use."`
	Restart   bool   `help:"Also find out what survives a restart of the broker, which you do when asked."`
	JSON      bool   `help:"Print the report as JSON."`
	Write     string `placeholder:"FILE" help:"Write an aggregator's configuration for this broker, without a user; the file must not exist, - is standard output."`
}

func (doctorCmd) Help() string {
	return `It takes less than a minute:

  fedmq doctor tcp://127.0.0.1:1883
  fedmq doctor tls://broker.plant.example -u doctor --password-file doctor.pw --write agg.yaml

It says before how much it will publish; --gentle publishes about a tenth. What each
line of the report means, and which setting of which broker mends it: docs/ref/doctor.md.
It publishes below <namespace>/<node>/_fl_v1 only, which the user has to be allowed to
write and read, sends one message and one Will to topics beside it to see whether an
access list stops them, and clears what it left, also when interrupted. It needs two
connections at a time. Exit code 1: the broker cannot be used as it is.

  fedmq doctor -c site.yaml
  fedmq doctor -c site.yaml --as aggregator.yaml

finds mistakes in the broker's access list: it tries each topic of the party with the
party's own user and prints the lines that are missing, as Mosquitto writes them. Writes
are judged by MQTT 5, reads by what comes: what is retained, and what an aggregator
that runs answers a site. Without one, and for an aggregator's own list, --as names the
other party, which says it. Nothing of it is retained, and nobody acts on it. Exit code
1: a line is missing.

  fedmq doctor tcp://broker:1883 -n acme -t quality --consumer berlin/line-1/scoring -u berlin/line-1/scoring --as aggregator.yaml

does so for a node that uses what is released, which has no configuration (model get --path).`
}

func (c *doctorCmd) client() clientFlags {
	return clientFlags{Broker: c.URL, accessFlags: c.accessFlags}
}

func (c *doctorCmd) Run(ctx context.Context) error {
	if c.Config != "" || c.As != "" || c.URL == "" || c.Consumer != "" {
		return c.list(ctx)
	}
	if c.Write != "" {
		if err := checkFresh(c.Write); err != nil {
			return usageError{fmt.Errorf("--write: %w", err)}
		}
	}
	s, err := c.client().secrets()
	if err != nil {
		return usageError{err}
	}
	cfg := doctor.Config{
		Link:      link.Config{Broker: c.URL, Username: c.Username, Password: s.password, TLS: s.tls, Headers: s.headers},
		Namespace: c.Namespace, Node: c.Node, Gentle: c.Gentle,
	}
	fmt.Fprintln(os.Stderr, doctor.Plan(c.Namespace, c.Node, c.Gentle))
	if term.IsTerminal(int(os.Stderr.Fd())) {
		cfg.Step = func(name string) { fmt.Fprintf(os.Stderr, "\r\033[K%s ...", name) }
		defer fmt.Fprint(os.Stderr, "\r\033[K")
	}
	if c.Restart {
		cfg.Restart = func() { fmt.Fprintf(os.Stderr, "\nRestart the broker now; waiting up to %s.\n", doctor.RestartWait) }
	}
	r, err := doctor.Run(ctx, cfg)
	if r == nil {
		return usageError{err}
	}
	if ctx.Err() != nil && errors.Is(err, doctor.ErrLeft) { // an interrupted command says no more than that
		fmt.Fprintf(os.Stderr, "fedmq: %v\n", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", link.Shown(c.URL), err)
	}
	return c.conclude(r)
}

// conclude prints the report and writes the configuration.
func (c *doctorCmd) conclude(r *doctor.Report) error {
	out := beside(c.Write)
	if c.JSON {
		if err := indented(out).Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Fprint(out, r.Text())
	}
	if !r.Advice.Usable {
		return fmt.Errorf("%s: %w", link.Shown(c.URL), errors.New(strings.Join(r.Advice.Problems, "; ")))
	}
	if c.Write == "" {
		return nil
	}
	text, err := c.fragment(r)
	if err != nil {
		return err
	}
	return writeOutput(c.Write, 0o600, true, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}

// fragment is an aggregator's configuration that runs as it is where the broker
// asks for no user: its task is an example, and the examination's user is not the
// aggregator's.
func (c *doctorCmd) fragment(r *doctor.Report) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured by fedmq doctor. The task is an example: give it your members and model.\nbroker: %q\nnamespace: %s\n", c.URL, c.Namespace)
	if c.Username != "" {
		b.WriteString("# The aggregator's own user; the examination had another.\n#username: aggregator\n#password_file: aggregator.pw\n")
	}
	var tls []string
	if c.CA != "" {
		ca, err := filepath.Abs(c.CA)
		if err != nil {
			return "", err
		}
		tls = append(tls, fmt.Sprintf("ca: %q", ca))
	}
	if c.ServerName != "" {
		tls = append(tls, fmt.Sprintf("server_name: %q", c.ServerName))
	}
	if c.Insecure {
		tls = append(tls, "insecure: true")
	}
	if c.Cert != "" {
		b.WriteString("# It had a certificate too: the aggregator's own is tls: {cert, key}.\n")
	}
	if len(tls) > 0 {
		fmt.Fprintf(&b, "tls: {%s}\n", strings.Join(tls, ", "))
	}
	fmt.Fprintf(&b, `data_dir: ./aggregator
part_size: %d
tasks:
  - name: example
    members: ["+/line-1"]
    rounds: 10
    quorum: 2
    deadline: 60s
    model: {linear: {inputs: 1, outputs: 1}}
`, r.Advice.PartSize)
	return b.String(), nil
}
