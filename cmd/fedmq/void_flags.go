package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// flagRule says when flags, or an argument such as "<file>", have no effect:
// beside another one, or without one of others.
type flagRule struct {
	command string // "" is every command that has the flag
	flags   []string
	not     string
	needs   []string
}

// access are the flags of accessFlags; that of the user stands for its password's,
// which has none without it, and that of the certificate for its key's.
var access = []string{"username", "ca", "cert", "server-name", "insecure", "ws-header"}

// with adds flags to a list.
func with(list []string, more ...string) []string { return slices.Concat(more, list) }

// flagRules has every flag that can be without effect.
var flagRules = []flagRule{
	{flags: []string{"password-file"}, needs: []string{"username"}},
	{flags: []string{"ca", "server-name"}, not: "insecure"},
	{flags: []string{"cert"}, needs: []string{"key"}},
	{flags: []string{"key"}, needs: []string{"cert"}},

	{command: "broker", flags: []string{"cert", "client-ca"}, needs: []string{"tls", "wss", "config"}}, // brokerFile.voids looks at both
	{command: "broker", flags: []string{"origin"}, needs: []string{"ws", "wss", "config"}},
	{command: "broker", flags: []string{"http"}, not: "check"},
	{command: "broker", flags: []string{"client-ca", "users", "namespace", "bulk"}, not: "open"},

	{command: "aggregator", flags: []string{"until-done", "adopt-epoch", "http"}, not: "check"},
	{command: "site", flags: []string{"slow", "http"}, not: "check"},
	{command: "site", flags: []string{"train"}, needs: []string{"check"}},

	{command: "init", flags: []string{"csv", "target", "regression", "separator", "decimal", "encoding", "missing"}, not: "trainer"},
	{command: "init", flags: []string{"target", "regression", "separator", "decimal", "encoding", "missing"}, needs: []string{"csv"}},

	{command: "bench fold", flags: []string{"dir"}, needs: []string{"strategy"}},
	{command: "verify", flags: []string{"round"}, needs: []string{"without"}},

	{command: "topics", flags: []string{"bridge", "clear", "bulk"}, not: "watch"},
	{command: "topics", flags: []string{"clear"}, not: "bridge"},
	{command: "topics", flags: []string{"member", "consumer", "broker"}, needs: []string{"watch", "bridge", "clear"}},
	{command: "topics", flags: with(access, "force"), needs: []string{"clear"}},
	{command: "topics", flags: []string{"namespace", "owner", "bulk"}, not: "config"},
	{command: "watch", flags: []string{"namespace", "owner"}, not: "config"},
	{command: "watch", flags: []string{"consumer"}, needs: []string{"member", "config"}}, // else all are watched
	{command: "dashboard", flags: []string{"consumer"}, needs: []string{"member", "config"}},
	{command: "dashboard", flags: []string{"namespace", "owner"}, not: "config"},

	{command: "doctor", flags: []string{"as"}, needs: []string{"config", "consumer"}},
	{command: "doctor", flags: with(access, "<url>", "namespace", "node", "gentle", "restart", "write", "consumer", "task", "owner", "bulk"), not: "config"},
	{command: "doctor", flags: []string{"task", "owner", "bulk"}, needs: []string{"consumer"}},
	{command: "doctor", flags: []string{"node", "gentle", "restart", "write"}, not: "consumer"},

	{command: "inspect", flags: []string{"topic"}, not: "<file>"},
	{command: "inspect", flags: with(access, "broker", "wait"), needs: []string{"topic"}},

	{command: "model get", flags: with(access, "namespace", "owner", "bulk", "broker", "keys", "timeout", "released", "follow", "exec", "exec-timeout", "path"), not: "dir"},
	{command: "model get", flags: []string{"exec-timeout"}, needs: []string{"exec"}},
	{command: "model get", flags: []string{"round"}, needs: []string{"dir"}},
	{command: "model get", flags: []string{"own"}, not: "follow"}, // a site that runs trains on
	{command: "model show", flags: with(access, "namespace", "task", "owner", "bulk", "broker", "keys", "timeout", "released"), not: "<file>"},
}

// broken reports why the flags given break a rule, or "".
func (r flagRule) broken(given map[string]bool) string {
	isGiven := func(flag string) bool { return given[flag] }
	i := slices.IndexFunc(r.flags, isGiven)
	switch {
	case i < 0:
		return ""
	case r.not != "" && given[r.not]:
		return fmt.Sprintf("%s has no effect with %s: leave one of them out", dashed(r.flags[i]), dashed(r.not))
	case len(r.needs) > 0 && !slices.ContainsFunc(r.needs, isGiven):
		needs := make([]string, len(r.needs))
		for i, n := range r.needs {
			needs[i] = dashed(n)
		}
		return fmt.Sprintf("%s has no effect without %s", dashed(r.flags[i]), strings.Join(needs, " or "))
	}
	return ""
}

func dashed(flag string) string {
	if strings.HasPrefix(flag, "<") {
		return flag
	}
	return "--" + flag
}

// mayBeEmpty is the flag whose empty text means something: the namespace itself.
const mayBeEmpty = "owner"

// checkText refuses a text that is empty, as a variable is that nobody has set, and a path
// that begins with the home directory's sign, which a shell does not replace in --dir=~/x.
func checkText(v *kong.Value, given any) error {
	var texts []string
	switch given := given.(type) {
	case string:
		texts = []string{given}
	case []string:
		if texts = given; len(texts) == 0 { // none of a list
			texts = []string{""}
		}
	}
	for _, s := range texts {
		switch {
		case s == "" && v.Name != mayBeEmpty:
			return fmt.Errorf("%s: is empty: want a value, or leave it out", v.Summary())
		case strings.HasPrefix(s, "~/"):
			return fmt.Errorf("%s: %s: the shell has not replaced ~: write the whole path", v.Summary(), s)
		}
	}
	return nil
}

// checkFlags refuses flags that have no effect, and texts that mean nothing.
func checkFlags(k *kong.Context) error {
	given := map[string]bool{}
	for _, p := range k.Path {
		var v *kong.Value
		switch {
		case p.Flag != nil:
			v = p.Flag.Value
			given[p.Flag.Name] = true
		case p.Positional != nil:
			v = p.Positional
			given["<"+p.Positional.Name+">"] = true
		default:
			continue
		}
		if err := checkText(v, k.Value(p).Interface()); err != nil {
			return err
		}
	}
	command := commandOf(k)
	for _, r := range flagRules {
		if r.command != "" && r.command != command {
			continue
		}
		if why := r.broken(given); why != "" {
			return fmt.Errorf("%s", why)
		}
	}
	return nil
}

// commandOf is the command without its arguments: "model show".
func commandOf(k *kong.Context) string {
	words := strings.Fields(k.Command())
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "<") }), " ")
}
