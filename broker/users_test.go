package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

func TestParseUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := file("good", "secret\r\nsecond line\n", 0o600)
	for name, tc := range map[string]struct {
		specs []UserSpec
		want  string // part of the error, "" for none
	}{
		"site by name":             {[]UserSpec{{Name: "berlin/line-1", Role: "site", PasswordFile: good}}, ""},
		"site with path":           {[]UserSpec{{Name: "b1", Role: "site", Path: "berlin/line-1"}}, ""},
		"area in two roles":        {[]UserSpec{{Name: "berlin", Role: "site", PasswordFile: good}, {Name: "berlin", Role: "aggregator", Path: "berlin", Members: []string{"berlin/+"}}}, ""},
		"two passwords":            {[]UserSpec{{Name: "berlin", Role: "site", PasswordFile: good}, {Name: "berlin", Role: "watcher", PasswordFile: good}}, "has a password already"},
		"unknown role":             {[]UserSpec{{Name: "x", Role: "admin"}}, "aggregator, site, operator, watcher or consumer"},
		"site as plants name them": {[]UserSpec{{Name: "Werk Köln/Linie 1: A", Role: "site", PasswordFile: good}}, ""},
		"site name is no path":     {[]UserSpec{{Name: "Line#1", Role: "site"}}, "topics:"},
		"control character":        {[]UserSpec{{Name: "a\u009bb", Role: "watcher"}}, "without control characters"},
		"no name":                  {[]UserSpec{{Role: "watcher"}}, "user 1"},
		"aggregator for nobody":    {[]UserSpec{{Name: "agg", Role: "aggregator"}}, "needs members"},
		"bad filter":               {[]UserSpec{{Name: "agg", Role: "aggregator", Members: []string{"#"}}}, "topics:"},
		"members of a site":        {[]UserSpec{{Name: "a", Role: "site", Members: []string{"+"}}}, "members is not for sites"},
		"consumers of a consumer":  {[]UserSpec{{Name: "a", Role: "consumer", Consumers: []string{"b"}}}, "consumers is not for sites"},
		"consumers of a watcher":   {[]UserSpec{{Name: "a", Role: "watcher", Consumers: []string{"b"}}}, "no effect without members"},
		"consumer without a path":  {[]UserSpec{{Name: "a b", Role: "consumer", Path: "a//b"}}, "path"},
		"consumer with a filter":   {[]UserSpec{{Name: "agg", Role: "aggregator", Members: []string{"+"}, Consumers: []string{"a/#"}}}, "filter"},
		"owner of an operator":     {[]UserSpec{{Name: "a", Role: "operator", Owner: "b"}}, "owner is for sites"},
		"hash and file":            {[]UserSpec{{Name: "a", Role: "site", PasswordFile: good, PasswordHash: "x"}}, "both"},
		"file others may read":     {[]UserSpec{{Name: "a", Role: "site", PasswordFile: file("open", "x", 0o644)}}, "mode 0644"},
		"file without a password":  {[]UserSpec{{Name: "a", Role: "site", PasswordFile: file("empty", "\n", 0o600)}}, "is empty"},
		"file that does not exist": {[]UserSpec{{Name: "a", Role: "site", PasswordFile: filepath.Join(dir, "none")}}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users, err := ParseUsers(tc.specs)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := fmt.Sprintf("%v %+v %#v", users[0], users[0], users[0]); strings.Contains(s, "secret") {
				t.Errorf("printing a user tells its password: %s", s)
			}
			if len(users) != 1 || len(users[0].Parties) != len(tc.specs) || (tc.specs[0].PasswordFile != "") != (users[0].Password == "secret") {
				t.Errorf("got %d users, %d roles", len(users), len(users[0].Parties))
			}
		})
	}
}

// An area is an aggregator below and a site above, under one user with one
// Will on each of its states (they are the same topic).
func TestAreaHasBothRoles(t *testing.T) {
	t.Parallel()
	users, err := ParseUsers([]UserSpec{
		{Name: "berlin", Role: "site"},
		{Name: "berlin", Role: "aggregator", Path: "berlin", Members: []string{"berlin/+"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := run(t, Config{Namespace: ns, Users: users})
	c := join(t, b.Conn("berlin"), connectOpts{id: "berlin"})
	for _, f := range []string{"acme/_fl_v1/q/order", "acme/berlin/+/_fl_v1/q/update"} {
		if code := c.subscribe(f, 1); code != 1 {
			t.Errorf("SUBSCRIBE %s: %#x", f, code)
		}
	}
	if !c.publish("acme/berlin/_fl_v1/q/order", "x", false) {
		t.Error("cannot publish its order")
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	hash, err := hashPassword("right", minIterations)
	if err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]User{
		"hash":  {Name: "u", PasswordHash: hash},
		"clear": {Name: "u", Password: "right"},
	} {
		p, err := newPassword(u)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time by the quick hash
			for _, wrong := range []string{"wrong", "", "Right", "right "} {
				if p.slowly([]byte(wrong)) {
					t.Errorf("%s: %q is accepted", name, wrong)
				}
			}
			if !p.slowly([]byte("right")) {
				t.Errorf("%s: the right one is refused", name)
			}
		}
	}
	p, err := newPassword(User{Name: "u"})
	if err != nil || p.slowly(nil) || p.slowly([]byte("x")) {
		t.Errorf("a user without a password is let in (%v)", err)
	}
}

// The format is a promise: a file of users outlives the version that wrote it.
// The vector was computed with Python's hashlib.pbkdf2_hmac.
func TestPasswordHashVector(t *testing.T) {
	t.Parallel()
	const hash = "pbkdf2-sha256$4096$MDEyMzQ1Njc4OWFiY2RlZg$FbdSpdVmnzgiX9mI/cW+L5oGcLWVr/sruutVRwHr3yg"
	p, err := newPassword(User{Name: "u", PasswordHash: hash})
	if err != nil {
		t.Fatal(err)
	}
	if !p.slowly([]byte("pencil")) {
		t.Error("the password of the vector is refused")
	}
}

func TestBadPasswordHashes(t *testing.T) {
	t.Parallel()
	good, err := hashPassword("x", minIterations)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{
		"x", "pbkdf2-sha1" + good[len(hashName):], good + "$", good[:len(good)-2],
		strings.Replace(good, "$1000$", "$10$", 1), strings.Replace(good, "$1000$", "$99999999999$", 1),
		strings.Replace(good, "$1000$", "$-5$", 1), "pbkdf2-sha256$1000$AA$" + good[strings.LastIndex(good, "$")+1:],
	} {
		if _, err := newPassword(User{Name: "u", PasswordHash: h}); err == nil {
			t.Errorf("%q is accepted", h)
		}
	}
	if _, err := HashPassword(""); err == nil {
		t.Error("an empty password is hashed")
	}
}

// A name that a plant has is percent-encoded in the client id, so that no user speaks
// for another: not "a" for "a:b", and not "a%20b" for "a b".
func TestNamesOfPlants(t *testing.T) {
	t.Parallel()
	const site = "Werk Köln/Linie 1: A"
	specs := []UserSpec{
		{Name: site, Role: "site"},
		{Name: "Werk Köln/Linie 1", Role: "site"},
		{Name: "Werk%20K%C3%B6ln/Linie%201%3A%20A", Role: "site", Path: "other"},
		{Name: "aggregator", Role: "aggregator", Members: []string{"Werk Köln/+"}},
	}
	users, err := ParseUsers(specs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		users[i].Password = "x"
	}
	ns, err := topics.New("spBv1.0/Ü & Co")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := run(t, Config{Namespace: ns, Users: users, TCP: "127.0.0.1:0"})
	const id = "Werk%20K%C3%B6ln/Linie%201%3A%20A"
	for user, want := range map[string]byte{site: 0, specs[1].Name: 5, specs[2].Name: 5} {
		for _, id := range []string{id, id + ":site"} {
			if _, code := dial(t, tcp(t, b.Addrs().TCP), connectOpts{id: id, user: user, password: "x"}); code != want {
				t.Errorf("%q as %q: CONNACK %d, want %d", id, user, code, want)
			}
		}
	}
	agg := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: "aggregator", user: "aggregator", password: "x"})
	if code := agg.subscribe("spBv1.0/Ü & Co/Werk Köln/+/_fl_v1/q/update", 1); code != 1 {
		t.Errorf("SUBSCRIBE: %#x", code)
	}
	c := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: id, user: site, password: "x"})
	if !c.publish("spBv1.0/Ü & Co/"+site+"/_fl_v1/q/update", "x", false) {
		t.Error("cannot publish its update")
	}
	if c.publish("spBv1.0/Ü & Co/Werk Köln/Linie 1/_fl_v1/q/update", "x", false) {
		t.Error("publishes another's update")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	ok := plant(t)
	for want, change := range map[string]func(*Config){
		"no users":     func(c *Config) { c.Users = nil },
		"no namespace": func(c *Config) { c.Namespace = topics.Namespace{} },
		"listed twice": func(c *Config) { c.Users = append(c.Users[:len(c.Users):len(c.Users)], c.Users[0]) },
		"may do nothing": func(c *Config) {
			c.Users = []User{{Name: "x", Parties: []topics.Party{{Role: topics.RoleSite, Path: "no/+/path"}}}}
		},
		"needs a certificate": func(c *Config) { c.TLS = "127.0.0.1:0" },
		"none.pem":            func(c *Config) { c.CertFile, c.KeyFile = "none.pem", "none.key" },
		"256 MiB":             func(c *Config) { c.MaxPacket = 1 << 30 },
	} {
		cfg := ok
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
