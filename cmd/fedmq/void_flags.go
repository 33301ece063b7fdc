package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// flagRule says when a flag, or an argument such as "<file>", has no effect:
// beside another one, or without one of others.
type flagRule struct {
	command string // "" is every command that has the flag
	flag    string
	not     string
	needs   []string
}

// flagRules has every flag that can be without effect.
var flagRules = []flagRule{
	{flag: "password-file", needs: []string{"username"}},
	{flag: "ca", not: "insecure"},
	{flag: "server-name", not: "insecure"},
	{flag: "cert", needs: []string{"key"}},
	{flag: "key", needs: []string{"cert"}},

	{command: "broker", flag: "cert", needs: []string{"tls", "wss", "config"}}, // brokerFile.voids looks at both
	{command: "broker", flag: "client-ca", needs: []string{"tls", "wss", "config"}},
	{command: "broker", flag: "client-ca", not: "open"},
	{command: "broker", flag: "origin", needs: []string{"ws", "wss", "config"}},
	{command: "broker", flag: "http", not: "check"},
	{command: "broker", flag: "users", not: "open"},
	{command: "broker", flag: "namespace", not: "open"},
	{command: "broker", flag: "bulk", not: "open"},

	{command: "aggregator", flag: "until-done", not: "check"},
	{command: "aggregator", flag: "adopt-epoch", not: "check"},
	{command: "aggregator", flag: "http", not: "check"},
	{command: "site", flag: "slow", not: "check"},
	{command: "site", flag: "http", not: "check"},

	{command: "topics", flag: "bridge", not: "watch"},
	{command: "topics", flag: "clear", not: "watch"},
	{command: "topics", flag: "clear", not: "bridge"},
	{command: "topics", flag: "member", needs: []string{"watch", "bridge", "clear"}},
	{command: "topics", flag: "broker", needs: []string{"watch", "bridge", "clear"}},
	{command: "topics", flag: "force", needs: []string{"clear"}},
	{command: "topics", flag: "username", needs: []string{"clear"}},
	{command: "topics", flag: "ca", needs: []string{"clear"}},
	{command: "topics", flag: "cert", needs: []string{"clear"}},
	{command: "topics", flag: "server-name", needs: []string{"clear"}},
	{command: "topics", flag: "insecure", needs: []string{"clear"}},
	{command: "topics", flag: "ws-header", needs: []string{"clear"}},
	{command: "topics", flag: "namespace", not: "config"},
	{command: "topics", flag: "owner", not: "config"},
	{command: "topics", flag: "bulk", not: "config"},
	{command: "topics", flag: "bulk", not: "watch"},
	{command: "watch", flag: "namespace", not: "config"},
	{command: "watch", flag: "owner", not: "config"},
	{command: "dashboard", flag: "namespace", not: "config"},
	{command: "dashboard", flag: "owner", not: "config"},

	{command: "doctor", flag: "as", needs: []string{"config"}},
	{command: "doctor", flag: "<url>", not: "config"},
	{command: "doctor", flag: "namespace", not: "config"},
	{command: "doctor", flag: "node", not: "config"},
	{command: "doctor", flag: "gentle", not: "config"},
	{command: "doctor", flag: "restart", not: "config"},
	{command: "doctor", flag: "write", not: "config"},
	{command: "doctor", flag: "username", not: "config"},
	{command: "doctor", flag: "ca", not: "config"},
	{command: "doctor", flag: "cert", not: "config"},
	{command: "doctor", flag: "server-name", not: "config"},
	{command: "doctor", flag: "insecure", not: "config"},
	{command: "doctor", flag: "ws-header", not: "config"},

	{command: "inspect", flag: "topic", not: "<file>"},
	{command: "inspect", flag: "broker", needs: []string{"topic"}},
	{command: "inspect", flag: "username", needs: []string{"topic"}},
	{command: "inspect", flag: "ca", needs: []string{"topic"}},
	{command: "inspect", flag: "cert", needs: []string{"topic"}},
	{command: "inspect", flag: "server-name", needs: []string{"topic"}},
	{command: "inspect", flag: "ws-header", needs: []string{"topic"}},
	{command: "inspect", flag: "insecure", needs: []string{"topic"}},
	{command: "inspect", flag: "wait", needs: []string{"topic"}},

	{command: "model show", flag: "namespace", not: "<file>"},
	{command: "model show", flag: "task", not: "<file>"},
	{command: "model show", flag: "owner", not: "<file>"},
	{command: "model show", flag: "bulk", not: "<file>"},
	{command: "model show", flag: "broker", not: "<file>"},
	{command: "model show", flag: "username", not: "<file>"},
	{command: "model show", flag: "ca", not: "<file>"},
	{command: "model show", flag: "cert", not: "<file>"},
	{command: "model show", flag: "server-name", not: "<file>"},
	{command: "model show", flag: "ws-header", not: "<file>"},
	{command: "model show", flag: "insecure", not: "<file>"},
	{command: "model show", flag: "keys", not: "<file>"},
	{command: "model show", flag: "timeout", not: "<file>"},
}

// broken reports why the flags given break a rule, or "".
func (r flagRule) broken(given map[string]bool) string {
	switch {
	case !given[r.flag]:
		return ""
	case r.not != "" && given[r.not]:
		return fmt.Sprintf("%s has no effect with %s: leave one of them out", dashed(r.flag), dashed(r.not))
	case len(r.needs) > 0 && !slices.ContainsFunc(r.needs, func(n string) bool { return given[n] }):
		needs := make([]string, len(r.needs))
		for i, n := range r.needs {
			needs[i] = dashed(n)
		}
		return fmt.Sprintf("%s has no effect without %s", dashed(r.flag), strings.Join(needs, " or "))
	}
	return ""
}

func dashed(flag string) string {
	if strings.HasPrefix(flag, "<") {
		return flag
	}
	return "--" + flag
}

// checkFlags refuses flags that have no effect, and a path that begins with the
// home directory's sign, which a shell does not replace in --dir=~/x.
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
		if s, ok := k.Value(p).Interface().(string); ok && strings.HasPrefix(s, "~/") {
			return fmt.Errorf("%s: %s: the shell has not replaced ~: write the whole path", v.Summary(), s)
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
