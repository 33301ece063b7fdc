package broker

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/secret"
	"github.com/fedmq/fedmq/internal/textfile"
	"github.com/fedmq/fedmq/topics"
)

// User is who may connect, and as which parties: one, or two for an area that
// is an aggregator below and a site above. With neither a password nor its
// hash the user has to present a client certificate, or a pipe of
// [Broker.Conn].
type User struct {
	Name         string         // 1 to 200 bytes, without control characters
	PasswordHash string         `json:"-"` // as HashPassword returns it
	Password     string         `json:"-"` // in the clear, from a file
	Parties      []topics.Party // none: may connect and do nothing
}

// String returns the name; a password is never printed.
func (u User) String() string { return u.Name }

// GoString is String, for %#v.
func (u User) GoString() string { return u.Name }

// UserSpec is a user as a file of users has it.
type UserSpec struct {
	Name         string `yaml:"name" json:"name"`
	PasswordHash string `yaml:"password_hash" json:"-"`
	// PasswordFile holds the password in the clear, in its first line; only
	// its owner may read it.
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
	// Role is aggregator, site, operator, watcher or consumer.
	Role string `yaml:"role" json:"role"`
	// Path is the path of a site's or a consumer's node, by default its name; for the
	// other roles that of the node that owns the tasks, by default the namespace.
	Path string `yaml:"path" json:"path,omitempty"`
	// Owner is, for a site and a consumer, the path of the node that owns its tasks, by
	// default the namespace.
	Owner string `yaml:"owner" json:"owner,omitempty"`
	// Members are filters of member paths ("+/line-1"): whose topics an
	// aggregator reads; for operators and watchers all members by default.
	Members []string `yaml:"members" json:"members,omitempty"`
	// Consumers are filters of consumers' paths: whose status an aggregator reads, and
	// operators and watchers that have members.
	Consumers []string `yaml:"consumers" json:"consumers,omitempty"`
}

// ParseUsers turns specs into users. Two specs of one name are one user with
// both roles; only one of them has the password.
func ParseUsers(specs []UserSpec) ([]User, error) {
	var users []User
	at := map[string]int{}
	for i, s := range specs {
		u, err := s.user()
		if err != nil {
			return nil, fmt.Errorf("broker: user %d (%q): %w", i+1, s.Name, err)
		}
		j, again := at[u.Name]
		if !again {
			at[u.Name] = len(users)
			users = append(users, u)
			continue
		}
		first := &users[j]
		if u.hasPassword() && first.hasPassword() {
			return nil, fmt.Errorf("broker: user %d (%q): a user of that name has a password already", i+1, s.Name)
		}
		if u.hasPassword() {
			first.Password, first.PasswordHash = u.Password, u.PasswordHash
		}
		first.Parties = append(first.Parties, u.Parties...)
	}
	return users, nil
}

func (u User) hasPassword() bool { return u.Password != "" || u.PasswordHash != "" }

func (s UserSpec) user() (User, error) {
	u := User{Name: s.Name, PasswordHash: s.PasswordHash}
	if err := checkUserName(s.Name); err != nil {
		return u, err
	}
	if s.PasswordHash != "" && s.PasswordFile != "" {
		return u, errors.New("both password_hash and password_file")
	}
	if s.PasswordFile != "" {
		var err error
		if u.Password, err = readPassword(s.PasswordFile); err != nil {
			return u, err
		}
	}
	p, err := s.party()
	u.Parties = []topics.Party{p}
	return u, err
}

func (s UserSpec) party() (p topics.Party, err error) {
	if p.Role, err = topics.ParseRole(s.Role); err != nil {
		return p, err
	}
	p.Owner = s.Path
	below := p.Role == topics.RoleSite || p.Role == topics.RoleConsumer // of an owner
	if below {
		p.Owner, p.Path = s.Owner, s.Path
		if p.Path == "" {
			p.Path = s.Name
		}
		if err := topics.CheckPath(p.Path); err != nil {
			return p, err
		}
	} else if s.Owner != "" {
		return p, errors.New("owner is for sites and consumers; say path")
	}
	if p.Owner != "" {
		if err := topics.CheckPath(p.Owner); err != nil {
			return p, err
		}
	}
	switch {
	case below && len(s.Members) > 0:
		return p, errors.New("members is not for sites and consumers")
	case below && len(s.Consumers) > 0:
		return p, errors.New("consumers is not for sites and consumers")
	case p.Role != topics.RoleAggregator && len(s.Members) == 0 && len(s.Consumers) > 0:
		return p, errors.New("consumers has no effect without members: all are read")
	}
	if p.Role == topics.RoleAggregator && len(s.Members) == 0 {
		return p, errors.New("an aggregator needs members, the filters of the members it reads")
	}
	if p.Members, err = filtersOf(s.Members); err != nil {
		return p, err
	}
	p.Consumers, err = filtersOf(s.Consumers)
	return p, err
}

func filtersOf(list []string) (filters []topics.MemberFilter, err error) {
	for _, m := range list {
		f, err := topics.ParseMemberFilter(m)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	return filters, nil
}

// maxUserName is how many bytes the name of a user may have.
const maxUserName = 200

// checkUserName refuses what MQTT or a log does not take.
func checkUserName(name string) error {
	if name == "" || len(name) > maxUserName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("broker: user name %q: want 1 to 200 bytes of UTF-8 without control characters", cut(name))
	}
	return nil
}

func readPassword(path string) (string, error) {
	f, err := secret.Open(path)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	line, err := textfile.FirstLine(b)
	if err != nil {
		return "", fmt.Errorf("password file %s: %w", path, err)
	}
	return line, nil
}
