package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A setting that another one makes of no effect is refused, by both their names:
// who wrote it believes that it does something. void_test.go has every key.

// voids are the settings of a connection that have no effect.
func (c connection) voids() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for broker := range strings.SplitSeq(string(c.Broker), ",") {
		if broker = strings.TrimSpace(broker); c.TLS == nil || broker == "" || encrypted(broker) {
			continue
		}
		scheme, _, _ := strings.Cut(broker, "://")
		write := "tls:// and the broker's TLS port (8883 is usual)"
		if strings.EqualFold(scheme, "ws") {
			write = "wss:// and the broker's port for it (443 is usual)"
		}
		bad("tls has no effect with %s://: passwords and models would travel in the clear; write %s, or leave tls out", scheme, write)
		break
	}
	if c.TLS != nil && c.TLS.Insecure && c.TLS.CA != "" {
		bad("tls: ca has no effect with insecure, which takes any certificate: leave insecure out")
	}
	if c.TLS != nil && c.TLS.Insecure && c.TLS.ServerName != "" {
		bad("tls: server_name has no effect with insecure, which takes any certificate: leave insecure out")
	}
	if c.PasswordFile != "" && c.Username == "" {
		bad("password_file has no effect without username: MQTT 3.1.1 sends no password alone")
	}
	if c.HTTP != "" {
		if err := checkListen(c.HTTP); err != nil {
			bad("http: %w", err)
		}
	}
	return errors.Join(errs...)
}

// encrypted reports whether a broker's URL asks for TLS.
func encrypted(broker string) bool {
	return secure(broker) || strings.HasPrefix(strings.ToLower(broker), "wss://")
}

// checkListen refuses an address that nobody can listen on.
func checkListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address to listen on: want host:port, such as 127.0.0.1:9470", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port of 0 to 65535", addr)
	}
	return nil
}

// voids are the settings of a strategy that have no effect.
func (f strategyFile) voids() error {
	switch {
	case f.Weights == "uniform" && f.Cap != 0:
		return errors.New("strategy.cap has no effect with weights: uniform, where every member weighs 1: leave one of them out")
	case f.Weights == "uniform" && f.CapFactor != 0:
		return errors.New("strategy.cap_factor has no effect with weights: uniform, where every member weighs 1: leave one of them out")
	case f.Cap != 0 && f.CapFactor != 0:
		return errors.New("strategy.cap_factor has no effect with cap, whose default it makes: leave one of them out")
	case f.Share != nil && len(f.Share) == 0:
		return errors.New("strategy.share: an empty list would be taken for the default, all tensors: name those that are shared, or leave the line out")
	case f.KeepLocal != nil && len(f.KeepLocal) == 0:
		return errors.New("strategy.keep_local: an empty list has no effect: name the tensors that stay at the sites, or leave the line out")
	case f.Name == "trimmed_mean" && f.params.Number("count") > 0 && f.params["beta"] != nil:
		return errors.New("strategy.beta has no effect with count, which says how many updates are left out: leave one of them out")
	}
	return nil
}

// voids are the keys of a built-in model that have no effect.
func (a archFile) voids(kind string) error {
	if kind != "mlp" && a.Seed != 0 {
		return fmt.Errorf("model: %s: seed has no effect: its weights begin with zeros", kind)
	}
	return nil
}
