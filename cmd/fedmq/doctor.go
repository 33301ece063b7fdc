package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/link"
)

type doctorCmd struct {
	URL string `arg:"" name:"url" help:"Broker URL: tcp://, tls://, ws://, wss://."`
	accessFlags
	Namespace string `short:"n" default:"acme" help:"Enterprise prefix of the UNS."`
	Node      string `placeholder:"PATH" help:"Path below the namespace of the node whose topics are used; default: fedmq-doctor/<random>."`
	Restart   bool   `help:"Also find out what survives a restart of the broker, which you do when asked."`
	JSON      bool   `help:"Print the report as JSON."`
	Write     string `placeholder:"FILE" help:"Write an aggregator's configuration for this broker; the file must not exist."`
}

func (doctorCmd) Help() string {
	return `It takes less than a minute:

  fedmq doctor tcp://127.0.0.1:1883
  fedmq doctor tls://broker.plant.example -u doctor --password-file doctor.pw --write agg.yaml

It publishes below <namespace>/<node>/_fl_v1 only, which the user has to be allowed to
write and read, sends one message and one Will to topics beside it to see whether an
access list stops them, and clears what it left, also when interrupted. It needs two
connections at a time. Exit code 1: the broker cannot be used as it is.`
}

func (c *doctorCmd) client() clientFlags {
	return clientFlags{Broker: c.URL, accessFlags: c.accessFlags}
}

func (c *doctorCmd) Run(ctx context.Context) error {
	if c.Write != "" {
		if _, err := os.Stat(c.Write); err == nil {
			return usageError{fmt.Errorf("--write: %s exists; want the name of a new file", c.Write)}
		}
	}
	s, err := c.client().secrets()
	if err != nil {
		return usageError{err}
	}
	cfg := doctor.Config{
		Link:      link.Config{Broker: c.URL, Username: c.Username, Password: s.password, TLS: s.tls},
		Namespace: c.Namespace, Node: c.Node,
	}
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
		return fmt.Errorf("%s: %w", c.URL, err)
	}
	return c.conclude(r)
}

// conclude prints the report and writes the configuration.
func (c *doctorCmd) conclude(r *doctor.Report) error {
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Print(r.Text())
	}
	if !r.Advice.Usable {
		return fmt.Errorf("%s: %w", c.URL, errors.New(strings.Join(r.Advice.Problems, "; ")))
	}
	if c.Write == "" {
		return nil
	}
	text, err := c.fragment(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Write, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// fragment is an aggregator's configuration that runs as it is: its task is an
// example.
func (c *doctorCmd) fragment(r *doctor.Report) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured by fedmq doctor. The task is an example: give it your members and model.\nbroker: %q\nnamespace: %s\n", c.URL, c.Namespace)
	if c.Username != "" {
		fmt.Fprintf(&b, "username: %q\n", c.Username)
	}
	files := []struct{ key, path string }{{"password_file", c.PasswordFile}, {"ca", c.CA}, {"cert", c.Cert}, {"key", c.Key}}
	for i, f := range files {
		if f.path == "" {
			continue
		}
		abs, err := filepath.Abs(f.path)
		if err != nil {
			return "", err
		}
		files[i].path = abs
	}
	if p := files[0].path; p != "" {
		fmt.Fprintf(&b, "password_file: %q\n", p)
	}
	var tls []string
	for _, f := range files[1:] {
		if f.path != "" {
			tls = append(tls, fmt.Sprintf("%s: %q", f.key, f.path))
		}
	}
	if c.Insecure {
		tls = append(tls, "insecure: true")
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
