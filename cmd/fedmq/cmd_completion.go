package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Prints what makes the shell complete commands and flags:

  bash   fedmq completion bash > ~/.local/share/bash-completion/completions/fedmq
  zsh    add to ~/.zshrc, after compinit:  source <(fedmq completion zsh)
  fish   fedmq completion fish > ~/.config/fish/completions/fedmq.fish`
}

func (c *completionCmd) Run(k *kong.Context) error {
	if c.Shell == "fish" {
		return fishCompletion(stdout, k.Model.Node)
	}
	if c.Shell == "zsh" {
		fmt.Fprintln(stdout, "autoload -U bashcompinit && bashcompinit")
	}
	return bashCompletion(stdout, k.Model.Node)
}

// shown lists the commands below a node that help shows.
func shown(n *kong.Node) (out []*kong.Node) {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

// flagsOf lists the flags that a command takes, its parents' included.
func flagsOf(n *kong.Node) (out []*kong.Flag) {
	for _, group := range n.AllFlags(true) {
		out = append(out, group...)
	}
	return out
}

// walk visits a command and all below it, with their paths: "model get".
func walk(n *kong.Node, path string, visit func(*kong.Node, string)) {
	visit(n, path)
	for _, c := range shown(n) {
		walk(c, strings.TrimSpace(path+" "+c.Name), visit)
	}
}

// bashCompletion follows the words to the command they name, and offers what is
// below it; where nothing fits, files.
func bashCompletion(w io.Writer, root *kong.Node) error {
	var paths, commands, flags []string
	walk(root, "", func(n *kong.Node, path string) {
		var below, names []string
		for _, c := range shown(n) {
			below = append(below, c.Name)
		}
		for _, f := range flagsOf(n) {
			names = append(names, "--"+f.Name)
		}
		if path != "" {
			paths = append(paths, fmt.Sprintf("%q", path))
		}
		commands = append(commands, fmt.Sprintf("    %q) commands=%q ;;", path, strings.Join(below, " ")))
		flags = append(flags, fmt.Sprintf("    %q) flags=%q ;;", path, strings.Join(names, " ")))
	})
	_, err := fmt.Fprintf(w, `_fedmq() {
  local cur="${COMP_WORDS[COMP_CWORD]}" path="" next word commands="" flags=""
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="${path:+$path }$word"
    case "$next" in
    %s) path="$next" ;;
    esac
  done
  case "$path" in
%s
  esac
  case "$path" in
%s
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
  esac
}
complete -o default -F _fedmq fedmq
`, strings.Join(paths, "|"), strings.Join(commands, "\n"), strings.Join(flags, "\n"))
	return err
}

// fishCompletion has a line for each command and each flag.
func fishCompletion(w io.Writer, root *kong.Node) error {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", " ").Replace(s) + "'"
	}
	var lines []string
	walk(root, "", func(n *kong.Node, path string) {
		when := "__fish_use_subcommand"
		if path != "" {
			seen := []string{}
			for _, name := range strings.Fields(path) {
				seen = append(seen, "__fish_seen_subcommand_from "+name)
			}
			when = strings.Join(seen, "; and ")
		}
		for _, c := range shown(n) {
			lines = append(lines, fmt.Sprintf("complete -c fedmq -f -n %s -a %s -d %s", quote(when), c.Name, quote(c.Help)))
		}
		for _, f := range n.Flags {
			line := fmt.Sprintf("complete -c fedmq -n %s -l %s -d %s", quote(when), f.Name, quote(f.Help))
			if !f.IsBool() {
				line += " -r"
			}
			lines = append(lines, line)
		}
	})
	_, err := fmt.Fprintln(w, strings.Join(slices.Compact(lines), "\n"))
	return err
}
