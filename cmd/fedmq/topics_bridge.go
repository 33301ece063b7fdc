package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// bridge prints the bridge of a plant's Mosquitto.
func (c *topicsCmd) bridge(ns topics.Namespace) error {
	if len(c.Member) == 0 {
		return usageError{errors.New("a bridge wants the members that are behind it: --member berlin/+, or a configuration with -c")}
	}
	filters, err := memberFilters(c.Member)
	if err != nil {
		return usageError{err}
	}
	if strings.HasPrefix(c.Broker, "ws") {
		return usageError{fmt.Errorf("%s: Mosquitto's bridge speaks TCP and TLS only", link.Shown(c.Broker))}
	}
	consumers, err := memberFilters(c.Consumer)
	if err != nil {
		return usageError{err}
	}
	tasks := c.tasks
	if len(tasks) == 0 {
		tasks = []string{"+"}
	}
	var list []topics.Crossing
	for _, t := range tasks {
		for _, x := range ns.Bridge(c.Owner, t, filters, consumers) {
			if !slices.Contains(list, x) {
				list = append(list, x)
			}
		}
	}
	return mosquittoBridge(stdout, ns, c.Broker, list)
}

// mosquittoBridge writes the configuration of a bridge. Protocol version 5 is what
// keeps the retain flag of messages as they come, so that sites that start later
// find order and model at their own broker.
func mosquittoBridge(w io.Writer, ns topics.Namespace, broker string, list []topics.Crossing) error {
	name := "fedmq-" + strings.ReplaceAll(topics.Escape(ns.String()), "/", "-")
	for _, x := range list {
		if strings.Contains(x.Filter, " ") {
			return usageError{fmt.Errorf("%s: Mosquitto's bridge ends a topic at a blank: want names without, or + in place of the member's level", x.Filter)}
		}
	}
	var addresses []string
	for _, a := range link.Addresses(broker) {
		host, port := hostPort(a)
		addresses = append(addresses, host+":"+port)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# A part of mosquitto.conf at the sites' broker, by fedmq topics --bridge mosquitto.\n")
	fmt.Fprintf(&b, "# The aggregator's broker needs no bridge. Give each plant a remote_clientid of its own.\n")
	fmt.Fprintf(&b, "connection %s\naddress %s\n", name, strings.Join(addresses, " "))
	b.WriteString("bridge_protocol_version mqttv50\ncleansession false\nnotifications false\n")
	fmt.Fprintf(&b, "#remote_clientid %s-berlin\n#remote_username bridge-berlin\n#remote_password secret\n", name)
	if secure(broker) {
		b.WriteString("bridge_cafile /etc/mosquitto/ca.pem\n")
	}
	for _, out := range []bool{false, true} {
		b.WriteString(map[bool]string{false: "\n# From the aggregator to the sites.\n", true: "\n# From the sites to the aggregator.\n"}[out])
		for _, x := range list {
			if x.Out == out {
				fmt.Fprintf(&b, "topic %s %s %d\n", x.Filter, map[bool]string{false: "in", true: "out"}[out], x.QoS)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
