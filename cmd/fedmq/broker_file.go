package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
)

// brokerName is the embedded broker's configuration in the folder of up and demo.
const brokerName = "broker.yaml"

// brokerFile is the configuration file of the embedded broker; a flag of the
// same name has the last word. A file of --users is one that has the list alone.
type brokerFile struct {
	Listen    *string           `yaml:"listen"`
	WS        string            `yaml:"ws"`
	TLS       string            `yaml:"tls"`
	WSS       string            `yaml:"wss"`
	Cert      string            `yaml:"cert"`
	Key       string            `yaml:"key"`
	ClientCA  string            `yaml:"client_ca"`
	Origins   []string          `yaml:"origins"`
	Namespace string            `yaml:"namespace"`
	Bulk      []string          `yaml:"bulk"`
	Open      bool              `yaml:"open"`
	DataDir   string            `yaml:"data_dir"`
	HTTP      string            `yaml:"http"`
	MaxPacket int               `yaml:"max_packet"`
	Limits    broker.Limits     `yaml:"limits"`
	Users     []broker.UserSpec `yaml:"users"`
}

// load reads the file and makes its paths relative to it.
func (f *brokerFile) load(path string) error {
	if err := loadYAML(path, f); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&f.Cert, &f.Key, &f.ClientCA, &f.DataDir} {
		*p = at(dir, *p)
	}
	for i := range f.Users {
		f.Users[i].PasswordFile = at(dir, f.Users[i].PasswordFile)
	}
	return nil
}

// folderLimits reads the broker's configuration of a folder, if there is one. The
// broker of up and demo is open and listens where the others look for it, so its
// limits are all that can be set.
func folderLimits(dir string) (f brokerFile, err error) {
	path := filepath.Join(dir, brokerName)
	if absent(path) {
		return f, nil
	}
	if err := f.load(path); err != nil {
		return f, err
	}
	f.Open = true
	if err := f.voids(); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	rest := f
	rest.Open, rest.Limits, rest.MaxPacket = false, broker.Limits{}, 0
	if !reflect.DeepEqual(rest, brokerFile{}) {
		return f, fmt.Errorf("%s: only limits and max_packet are read here: this broker is open, and listens where the other configurations say; `fedmq broker -c %s` reads the rest", path, path)
	}
	return f, nil
}

// flags puts what the command line says over what the file says.
func (c *brokerCmd) flags(f *brokerFile) error {
	for flag, file := range map[*string]*string{
		&c.WS: &f.WS, &c.TLS: &f.TLS, &c.WSS: &f.WSS, &c.Cert: &f.Cert, &c.Key: &f.Key, &c.ClientCA: &f.ClientCA,
		&c.Namespace: &f.Namespace, &c.DataDir: &f.DataDir, &c.HTTP: &f.HTTP,
	} {
		if *flag != "" {
			*file = *flag
		}
	}
	if c.Listen != nil {
		f.Listen = c.Listen
	}
	if len(c.Origin) > 0 {
		f.Origins = c.Origin
	}
	if len(c.Bulk) > 0 {
		f.Bulk = c.Bulk
	}
	if c.MaxPacket != 0 {
		f.MaxPacket = c.MaxPacket
	}
	f.Open = f.Open || c.Open
	if c.Users == "" {
		return nil
	}
	var users usersFile
	if err := loadYAML(c.Users, &users); err != nil {
		return err
	}
	for i := range users.Users {
		users.Users[i].PasswordFile = at(filepath.Dir(c.Users), users.Users[i].PasswordFile)
	}
	f.Users = users.Users
	return nil
}

// voids refuses what would have no effect.
func (f *brokerFile) voids() error {
	secure, web := f.TLS != "" || f.WSS != "", f.WS != "" || f.WSS != ""
	none := broker.RoleLimits{}
	l := f.Limits
	switch {
	case f.Open && (l.Site != none || l.Watcher != none || l.Owner != none):
		return errors.New("limits.site, watcher and owner have no effect on an open broker: everybody is anonymous; want limits.anonymous")
	case !f.Open && l.Anonymous != none:
		return errors.New("limits.anonymous has no effect on a broker with users: want limits.site, watcher or owner")
	case f.Open && (f.Namespace != "" || f.ClientCA != "" || len(f.Bulk) > 0):
		return errors.New("namespace, bulk and client_ca have no effect on an open broker: leave them, or open, out")
	case !secure && (f.Cert != "" || f.Key != "" || f.ClientCA != ""):
		return errors.New("cert, key and client_ca have no effect without tls or wss, an address to listen on")
	case !web && len(f.Origins) > 0:
		return errors.New("origins have no effect without ws or wss, an address to listen on")
	}
	return nil
}

// tellLimits prints the limits in force, a line for all users and one a role.
func tellLimits(w io.Writer, l broker.Limits, open bool) error {
	var errs []error
	say := func(name string, v reflect.Value) {
		var parts []string
		for i := range v.NumField() {
			if v.Field(i).Kind() != reflect.Struct {
				parts = append(parts, fmt.Sprintf("%s %v", v.Type().Field(i).Tag.Get("yaml"), v.Field(i).Interface()))
			}
		}
		_, err := fmt.Fprintf(w, "%s: %s\n", name, strings.Join(parts, ", "))
		errs = append(errs, err)
	}
	all := reflect.ValueOf(l)
	say("limits", all)
	for i := range all.NumField() {
		key := all.Type().Field(i).Tag.Get("yaml")
		if all.Field(i).Kind() == reflect.Struct && open == (key == "anonymous") {
			say("limits."+key, all.Field(i))
		}
	}
	return errors.Join(errs...)
}

// embedded starts the open broker of up and demo at addr, or at a free port of its host
// where that is taken; stop ends it.
func (f brokerFile) embedded(ctx context.Context, addr, dir string, log zerolog.Logger) (url string, taken bool, stop func() error, err error) {
	open := func(addr string) (*broker.Broker, error) {
		b, err := broker.New(broker.Config{TCP: addr, Open: true, DataDir: dir, MaxPacket: f.MaxPacket, Limits: f.Limits, Log: log})
		if err == nil {
			err = b.Listen()
		}
		return b, err
	}
	b, err := open(addr)
	if host, _, bad := net.SplitHostPort(addr); errors.Is(err, syscall.EADDRINUSE) && bad == nil {
		taken = true
		b, err = open(net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return "", taken, nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- b.Run(run) }()
	<-b.Ready()
	return "tcp://" + b.Addrs().TCP, taken, func() error { cancel(); return <-done }, nil
}
