package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// The scripts are made from the grammar and know all of it: completing runs no slipway, so it can
// neither be slow nor start a bot.

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by --help: where each shell looks for the script.
func (completionCmd) Help() string {
	return `Once, for good:

    bash: slipway completion bash > ~/.local/share/bash-completion/completions/slipway
    zsh:  slipway completion zsh > "${fpath[1]}/_slipway"
    fish: slipway completion fish > ~/.config/fish/completions/slipway.fish`
}

// Run prints the script.
func (c completionCmd) Run(stdout io.Writer, app *kong.Kong) error {
	var script string
	switch commands := visible(app.Model.Node); c.Shell {
	case "bash":
		script = bashScript(commands)
	case "zsh":
		script = zshScript(commands)
	case "fish":
		script = fishScript(commands)
	}
	_, err := io.WriteString(stdout, script)
	return err
}

// arguments are the words that may follow a command, and whether a file may.
func arguments(command *kong.Node) (words []string, file bool) {
	for _, below := range visible(command) {
		words = append(words, below.Name)
	}
	for _, arg := range command.Positional {
		if arg.Enum != "" {
			words = append(words, strings.Split(arg.Enum, ",")...)
		}
		file = file || arg.Tag.Get("completes") == "file"
	}
	return words, file
}

func bashScript(commands []*kong.Node) string {
	var names []string
	var cases strings.Builder
	for _, command := range commands {
		names = append(names, command.Name)
		words, file := arguments(command)
		reply := fmt.Sprintf(`COMPREPLY=($(compgen -W "%s" -- "$word"))`, strings.Join(append(words, "--help"), " "))
		if file {
			reply = `COMPREPLY=($(compgen -f -W "--help" -- "$word"))`
		}
		fmt.Fprintf(&cases, "    %s) %s ;;\n", command.Name, reply)
	}
	return fmt.Sprintf(`# bash completion of slipway
_slipway() {
  local word="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "%s help --help" -- "$word"))
    return
  fi
  [ "$COMP_CWORD" -eq 2 ] || return 0
  case "${COMP_WORDS[1]}" in
%s    help) COMPREPLY=($(compgen -W "%[1]s" -- "$word")) ;;
  esac
}
complete -o filenames -F _slipway slipway
`, strings.Join(names, " "), cases.String())
}

func zshScript(commands []*kong.Node) string {
	var names []string
	var described, cases strings.Builder
	for _, command := range commands {
		names = append(names, command.Name)
		fmt.Fprintf(&described, "    %s\n", quote(command.Name+":"+command.Help))
		switch words, file := arguments(command); {
		case file:
			fmt.Fprintf(&cases, "    %s) _files ;;\n", command.Name)
		case len(words) > 0:
			fmt.Fprintf(&cases, "    %s) compadd -- %s ;;\n", command.Name, strings.Join(words, " "))
		}
	}
	return fmt.Sprintf(`#compdef slipway
_slipway() {
  local -a commands=(
%s    'help:Say what slipway can do.'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  (( CURRENT == 3 )) || return
  case $words[2] in
%s    help) compadd -- %s ;;
  esac
}
if [ "$funcstack[1]" = _slipway ]; then _slipway "$@"; else compdef _slipway slipway; fi
`, described.String(), cases.String(), strings.Join(names, " "))
}

func fishScript(commands []*kong.Node) string {
	b := &strings.Builder{}
	b.WriteString("# fish completion of slipway\ncomplete -c slipway -f\n")
	for _, command := range commands {
		fmt.Fprintf(b, "complete -c slipway -n __fish_use_subcommand -a %s -d %s\n", command.Name, quote(command.Help))
		words, file := arguments(command)
		if len(words) > 0 {
			fmt.Fprintf(b, "complete -c slipway -n '__fish_seen_subcommand_from %s' -a %s\n", command.Name, quote(strings.Join(words, " ")))
		}
		if file {
			fmt.Fprintf(b, "complete -c slipway -n '__fish_seen_subcommand_from %s' -F\n", command.Name)
		}
	}
	return b.String()
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
