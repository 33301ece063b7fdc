// Command go-custom is a site of a federation, written in Go with the public
// packages of fedmq alone: its own model, loss, metrics and flags. See the
// README beside it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	broker, namespace, fleet, data, dir, busy, init, hours, http string
	bandwidth                                                    int64
}

func flags(args []string) (o options, err error) {
	f := flag.NewFlagSet("go-custom", flag.ContinueOnError)
	f.StringVar(&o.broker, "broker", "tcp://127.0.0.1:1883", "URL of the broker")
	f.StringVar(&o.namespace, "namespace", "acme", "prefix in the Unified Namespace")
	f.StringVar(&o.fleet, "fleet", "F01", "whose engines: F01 to F10")
	f.StringVar(&o.data, "data", "../turbofan/train.csv.gz", "flights of all fleets")
	f.StringVar(&o.dir, "dir", "", "directory of state and of best.safetensors (default state/FLEET)")
	f.StringVar(&o.busy, "busy", "", "decline rounds while this file exists")
	f.StringVar(&o.init, "init", "", "write the first model into this file, and end")
	f.StringVar(&o.hours, "hours", "", "when parts of large models travel, for example 22:00-06:00")
	f.Int64Var(&o.bandwidth, "bandwidth", 0, "bits a second that such parts take at most")
	f.StringVar(&o.http, "http", "", "address that answers with this site's numbers as JSON")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" {
		o.dir = filepath.Join("state", o.fleet)
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := flags(args)
	if err != nil {
		return err
	}
	train, test, err := load(o.data, o.fleet)
	if err != nil {
		return err
	}
	if o.init != "" {
		m, err := first(train)
		if err != nil {
			return err
		}
		return save(o.init, m)
	}
	f := &fleet{train: train, test: test, busy: o.busy, best: filepath.Join(o.dir, "best.safetensors")}
	cfg, err := o.config(f)
	if err != nil {
		return err
	}
	if o.http == "" {
		return site.Run(ctx, cfg)
	}
	return serve(ctx, o.http, f, cfg)
}

// config is what site.Run wants.
func (o options) config(f *fleet) (cfg site.Config, err error) {
	cfg = site.Config{
		Broker: o.broker, Namespace: o.namespace, Member: o.fleet + "/engines", DataDir: o.dir,
		Tasks:     []site.Task{{Name: "promise", Trainer: f}},
		Bandwidth: o.bandwidth,
		Agent:     "go-custom/1",
		Log:       zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger(),
		Monitor:   new(site.Monitor),
	}
	if o.hours != "" {
		if cfg.Hours, err = site.ParseHours(o.hours); err != nil {
			return cfg, err
		}
	}
	return cfg, cfg.Validate()
}

// serve runs the site beside a server of its numbers, and ends both.
func serve(ctx context.Context, addr string, f *fleet, cfg site.Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	srv := &http.Server{Addr: addr, Handler: answer(f, cfg.Monitor), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() {
		served <- srv.ListenAndServe()
		stop() // without it nobody would see the site
	}()
	err := site.Run(ctx, cfg)
	closed := srv.Close()
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, closed)
}

// answer is this program's numbers beside what the site counts.
func answer(f *fleet, m *site.Monitor) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s := m.Stats()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"fleet": f.numbers(), "ready": s.Ready, "tasks": s.Tasks})
	}
}
