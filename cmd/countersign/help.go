package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/help"
	"github.com/countersign/countersign/internal/spelling"
)

// rootHelp names the variables and the exit codes of all commands. docs/command.md
// and docs/configuration.md explain them.
const rootHelp = `Answer HTTP authentication challenges with a private key that stays where it is: in
a key file, in the keychain of the operating system or in a variable.

Environment variables:

  COUNTERSIGN_KEY         reference of the key to use; nothing else is tried
  COUNTERSIGN_CONFIG      name of the configuration file
  OLLAMA_KEY              key of env:OLLAMA_KEY; any NAME for env:NAME
  OLLAMA_KEY_FILE         name of a file that holds this key
  OLLAMA_KEY_PASSPHRASE   passphrase of this key, or with _FILE the name of its file
  CREDENTIALS_DIRECTORY   folder of systemd's credentials, which may hold this key
  VAULT_ADDR              address of the server of vault:NAME; also VAULT_TOKEN and others
  HTTPS_PROXY             proxy; also HTTP_PROXY and NO_PROXY

Exit codes:

  0   done
  1   failed
  2   called wrongly, or a mistake in the configuration
  3   no key
  4   the key is locked, or access to it was denied
  5   the server rejected the key or the token`

// helpTemplate is cobra's, and says where subcommands find the rest.
const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}{{if .HasParent}}
Variables and exit codes: countersign --help
{{end}}`

// addBuiltins adds the commands help and completion, which cobra would add when the
// command is executed. The output of root is set before, because the command
// completion keeps it.
func (a *app) addBuiltins(root *cobra.Command) {
	root.SetHelpTemplate(helpTemplate)
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if err := usage(cmd); err != nil || cmd.HasParent() {
			return err
		}
		_, err := io.WriteString(cmd.OutOrStderr(), topicList())
		return err
	})
	root.SetHelpCommand(a.helpCmd())
	root.InitDefaultVersionFlag()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Args, cmd.RunE = subcommand, showHelp
			for _, shell := range cmd.Commands() {
				shell.Args = checkArguments
			}
		}
	}
}

func (a *app) helpCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND or TOPIC]",
		Short:   "Show the help of a command or a topic",
		Long:    "Show the help of a command, or a topic. Without either, list both.",
		Example: "  countersign help key copy\n  countersign help keychain\n  countersign help keychain#no-bus",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.printHelp(cmd.Root(), args) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return helpNames(cmd.Root(), args), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// printHelp prints the help of the command or the topic that args name.
func (a *app) printHelp(root *cobra.Command, args []string) error {
	if cmd, rest, err := root.Find(args); err == nil && len(rest) == 0 {
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
	last := args[len(args)-1]
	text, err := help.Text(last)
	if err == nil && len(args) == 1 {
		_, err := io.WriteString(a.stdout, text)
		return err
	}
	if len(args) > 1 || err == nil {
		err = errors.New("countersign help lists the commands and the topics")
	}
	if similar := spelling.Nearest(last, helpNames(root, args[:len(args)-1])); similar != "" {
		err = fmt.Errorf("did you mean %s?", similar)
	}
	return usageError{fmt.Errorf("there is no help for %q: %w", shorten(strings.Join(args, " ")), err)}
}

// helpNames returns the words that help knows after args.
func helpNames(root *cobra.Command, args []string) []string {
	var names []string
	if len(args) == 0 {
		for _, topic := range help.Topics() {
			names = append(names, topic.Name)
		}
	}
	if cmd, rest, err := root.Find(args); err == nil && len(rest) == 0 {
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// topicList returns the end of the usage of the root command.
func topicList() string {
	var b strings.Builder
	b.WriteString("\nTopics:\n")
	for _, topic := range help.Topics() {
		fmt.Fprintf(&b, "  %-20s %s\n", topic.Name, topic.Title)
	}
	b.WriteString("\nUse \"countersign help TOPIC\" to read a topic.\n")
	return b.String()
}
