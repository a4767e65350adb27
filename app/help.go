package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// next says where to go on from the help.
const next = `A first time, in this order:
  slipway manifest                   make the Slack app from it at https://api.slack.com/apps
  slipway validate deploy.yaml       until it is fine
  slipway                            with the settings above; then type /deploy help in Slack
  README.md has the rest: Redis, the rights in Google Cloud, and a manifest to run it on Cloud Run.
`

// helpFlag turns "help" and "help COMMAND" into --help, so that both ways of asking work.
func helpFlag(args []string) []string {
	if len(args) == 0 || args[0] != "help" {
		return args
	}
	return append(args[1:len(args):len(args)], "--help")
}

// printHelp prints the whole manual for slipway itself, and kong's page with an example for a command.
func printHelp(options kong.HelpOptions, c *kong.Context) error {
	node := c.Selected()
	if node == nil || len(c.Args) == 0 || c.Args[0] != strings.Fields(title(node))[0] {
		_, err := io.WriteString(c.Stdout, manual(c.Model))
		return err
	}
	options.Compact = len(node.Children) > 0
	if err := kong.DefaultHelpPrinter(options, c); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Stdout, "\nFor example:\n  %s\n", node.Tag.Get("example"))
	return err
}

// title is what is typed after slipway to run a command: "ctl deploy".
func title(command *kong.Node) string {
	if command.Parent == nil || command.Parent.Type != kong.CommandNode {
		return command.Name
	}
	return title(command.Parent) + " " + command.Name
}

// manual is short enough for a screen and a half and complete enough to start from.
func manual(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: slipway [COMMAND]\n\nCommands (slipway help COMMAND says more):\n", app.Help)
	for _, command := range visible(app.Node) {
		fmt.Fprintf(&b, "  %-34s %s\n  %-34s for example: %s\n", usageOf(command), command.Help, "", command.Tag.Get("example"))
	}
	b.WriteString("\nSettings, from the environment:\n")
	for _, s := range Settings() {
		when := "optional"
		if s.Required {
			when = "required"
		}
		fmt.Fprintf(&b, "  %-22s %-11s %s\n", s.Name, when, s.Hint)
	}
	fmt.Fprintf(&b, "  Google's credentials are found where its own tools look: https://cloud.google.com/docs/authentication/application-default-credentials\n")
	fmt.Fprintf(&b, "\nExit status: %d it worked, %d what was asked failed, %d the question was wrong; of verdict, see slipway help verdict.\n\n%s", exitOK, exitFailed, exitUsage, next)
	return b.String()
}

// usageOf is the command with its arguments: "validate [FILE]".
func usageOf(command *kong.Node) string {
	parts := []string{command.Name}
	if len(command.Children) > 0 {
		parts = append(parts, "COMMAND")
	}
	for _, arg := range command.Positional {
		switch {
		case arg.Enum != "":
			parts = append(parts, strings.ReplaceAll(arg.Enum, ",", "|"))
		case arg.Required:
			parts = append(parts, strings.ToUpper(arg.Name))
		default:
			parts = append(parts, "["+strings.ToUpper(arg.Name)+"]")
		}
	}
	return strings.Join(parts, " ")
}
