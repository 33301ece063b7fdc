package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// list tries the access list with a party's own user.
func (c *doctorCmd) list(ctx context.Context) error {
	me, from, err := c.party()
	if err != nil {
		return usageError{err}
	}
	var other *doctor.Party
	if c.As != "" {
		p, err := readParty(c.As)
		if err != nil {
			return usageError{err}
		}
		other = &p
	}
	l, err := doctor.CheckList(ctx, me, other)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if c.JSON {
		err = indented(stdout).Encode(l)
	} else {
		_, err = io.WriteString(stdout, l.Text())
	}
	if err == nil && len(l.Missing) > 0 {
		err = fmt.Errorf("%s: the broker's access list lacks: %s", from, strings.Join(l.Missing, "; "))
	}
	return err
}

// party is who is tried, and what says so.
func (c *doctorCmd) party() (me doctor.Party, from string, err error) {
	switch {
	case c.Config != "":
		me, err = readParty(c.Config)
		return me, c.Config, err
	case c.URL == "" || c.Consumer == "":
		return me, "", errors.New("want the broker's URL, or --config FILE of a site or an aggregator")
	case c.Task == "":
		return me, "", errors.New("--consumer wants --task: what is released of it")
	}
	ns, err := topics.Configured(c.Namespace, c.Bulk)
	if err != nil {
		return me, "", err
	}
	s, err := c.client().secrets()
	if err != nil {
		return me, "", err
	}
	cfg := link.Config{Broker: c.URL, Username: c.Username, Password: s.password, TLS: s.tls, Headers: s.headers}
	me, err = doctor.Consumer(cfg, ns, c.Consumer, c.Owner, []string{c.Task})
	return me, c.Consumer, err
}

// readParty reads the configuration of a site, which has a member, or of an
// aggregator. Trainers are not started.
func readParty(path string) (p doctor.Party, err error) {
	var site siteFile
	siteErr := loadYAML(path, &site)
	if siteErr == nil && site.Member != "" {
		cfg, ns, err := wayOf(path, site.Connection, site.Bulk...)
		if err != nil {
			return p, err
		}
		var tasks []doctor.TaskAt
		for _, t := range site.Tasks {
			tasks = append(tasks, doctor.TaskAt{Owner: t.Owner, Name: t.Name})
		}
		return doctor.Site(cfg, ns, site.Member, tasks)
	}
	var agg aggregatorFile
	if err := loadYAML(path, &agg); err != nil {
		return p, errors.Join(fmt.Errorf("%s is neither a site's configuration nor an aggregator's", path), siteErr, err)
	}
	cfg, ns, err := wayOf(path, agg.Connection, agg.Bulk)
	if err != nil {
		return p, err
	}
	var tasks, members, uses []string
	for _, t := range agg.Tasks {
		tasks, members, uses = append(tasks, t.Name), append(members, t.Members...), append(uses, t.Consumers...)
	}
	filters, err := memberFilters(members)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	consumers, err := memberFilters(uses)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return doctor.Aggregator(cfg, ns, agg.Owner, tasks, filters, consumers)
}

// wayOf is how a party reaches the broker, and its namespace.
func wayOf(path string, c connection, bulk ...string) (link.Config, topics.Namespace, error) {
	ns, err := topics.Configured(c.Namespace, bulk...)
	var s secrets
	if err == nil {
		s, err = c.load(filepath.Dir(path))
	}
	if err != nil {
		return link.Config{}, ns, fmt.Errorf("%s: %w", path, err)
	}
	return link.Config{Broker: string(c.Broker), Username: c.Username, Password: s.password, TLS: s.tls, Headers: s.headers}, ns, nil
}
