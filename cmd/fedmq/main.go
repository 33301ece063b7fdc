// Command fedmq is federated learning over the MQTT broker a plant already
// runs: the broker for trying, the aggregator, the site agent, and the tools to
// look at all of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/fedmq/fedmq/internal/link"
)

// Exit codes; `fedmq --help` lists them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitBelowQuorum = 3
	exitInterrupted = 130
)

// errBelowQuorum ends a command whose task stopped without a quorum.
var errBelowQuorum = errors.New("a task stopped below its quorum")

const description = `Federated learning as a citizen of an industrial Unified Namespace: sites train on
their own data, only weights travel, over the MQTT broker the plant already runs.

  fedmq demo                     ten sites, real MQTT, an embedded broker, real numbers
  fedmq init --trainer shell DIR two sites to start from, with a trainer of your kind
  fedmq up DIR                   runs a folder's broker, aggregator and sites to the end
  fedmq broker --open            an MQTT broker to try things with
  fedmq aggregator -c agg.yaml   averages the sites' updates round by round
  fedmq site -c site.yaml        trains on one site's data

Exit codes: 0 ok, 1 error, 2 usage, 3 a task stopped below its quorum, 130 interrupted.`

type cli struct {
	Demo       demoCmd         `cmd:"" help:"Run a whole federation on this machine: broker, aggregator and ten sites on real data."`
	Init       initCmd         `cmd:"" help:"Write a federation of two sites to start from: configurations, data and a trainer."`
	Up         upCmd           `cmd:"" help:"Run the broker, the aggregator and the sites of a folder until every task has ended."`
	InitModel  initModelCmd    `cmd:"" name:"init-model" help:"Ask a site's trainer for a first model and write it as a safetensors file."`
	Broker     brokerCmd       `cmd:"" help:"Run the embedded MQTT broker."`
	Aggregator aggregatorCmd   `cmd:"" help:"Run the aggregator of the tasks in a configuration file."`
	Site       siteCmd         `cmd:"" help:"Run the agent of one site."`
	Doctor     doctorCmd       `cmd:"" help:"Measure what a broker takes, and advise settings."`
	Topics     topicsCmd       `cmd:"" help:"Show the topic tree, or the subscriptions a watcher wants."`
	ACL        aclCmd          `cmd:"" name:"acl" help:"Print the access list of a federation for a broker."`
	Dashboard  dashboardCmd    `cmd:"" help:"Serve a page that shows a federation, live, and takes commands."`
	Watch      watchCmd        `cmd:"" help:"Show a federation in the terminal, or as lines."`
	Inspect    inspectCmd      `cmd:"" help:"Show any fedmq message as JSON: from a file, standard input or a topic."`
	Send       sendCmd         `cmd:"" help:"Send an operator's command: start, pause, resume, stop, exclude, include, release, rollback, set."`
	Bench      benchCmd        `cmd:"" help:"Measure a round, the averaging or the wire format on this machine."`
	HashPass   hashPasswordCmd `cmd:"" name:"hash-password" help:"Hash a password for the embedded broker's users file."`
	Model      modelCmd        `cmd:"" help:"Get a task's model from the broker, show one, or put one there."`
	Predict    predictCmd      `cmd:"" help:"Predict the rows of a file with a model."`
	Verify     verifyCmd       `cmd:"" help:"Check the records of a federation, and make its models again, bit by bit."`
	Audit      auditCmd        `cmd:"" help:"Check the files of an audit log."`
	Baseline   baselineCmd     `cmd:"" help:"Compare a federation with each site alone and with all rows in one place."`
	Runs       runsCmd         `cmd:"" help:"List the runs of a folder, and what was set otherwise."`
	Report     reportCmd       `cmd:"" help:"Write what came of a federation as one HTML file."`
	Completion completionCmd   `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Man        manCmd          `cmd:"" help:"Write the man pages into a directory."`
	Version    versionCmd      `cmd:"" help:"Print version, commit and Go version."`

	Log logFlags `embed:"" prefix:"log-"`
}

func main() {
	os.Exit(run(os.Args[1:]))
}

// newParser makes the parser, whose model help and reference are made of.
func newParser(c *cli, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("fedmq"), kong.Description(description), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(stdout, os.Stderr), kong.Exit(exit))
}

// below is the parser's word for a number below 0, which it takes for a flag.
var below = regexp.MustCompile(`^unknown flag -[0-9.]`)

// run is main without the process: it returns the exit code.
func run(args []string) int {
	var c cli
	code := -1
	parser, err := newParser(&c, func(n int) { code = n })
	if err != nil {
		fmt.Fprintln(os.Stderr, "fedmq:", err)
		return exitError
	}
	k, err := parser.Parse(args)
	if code >= 0 || stdout.failure() != nil { // --help has printed and asked to end
		return exitCode(context.Background(), stdout.failure())
	}
	if err == nil {
		err = checkFlags(k)
	} else if said := below.FindString(err.Error()); said != "" { // and what it takes for alike
		err = fmt.Errorf("%s: no number here is below 0, and a name that begins with - goes after --", said)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fedmq: %v\nTry \"fedmq --help\".\n", err)
		return exitUsage
	}
	ctx, goesOn, stop := listen(k.Command())
	log := c.Log.logger()
	hung := func() {}
	if slices.Contains(services, k.Command()) {
		link.LogLibrary(log) // to others the errors are the answer
	}
	if goesOn {
		hung = onHangup(ctx, func() { log.Info().Msg("SIGHUP: goes on") })
	}
	k.BindTo(ctx, (*context.Context)(nil))
	if err = k.Run(&c.Log); err == nil {
		err = stdout.failure()
	}
	lastLine(ctx, k.Command(), log)
	code = exitCode(ctx, err)
	stop()
	hung()
	return code
}

// exitCode maps a command's outcome. A long-running command that a signal ended
// cleanly has done what it was asked: 0 for SIGTERM's sake; one that was cut
// short in its work reports context.Canceled and ends with 130.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "fedmq: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, "fedmq:", err)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errBelowQuorum):
		return exitBelowQuorum
	}
	return exitError
}

// usageError is a mistake in how a command was called or configured.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
