package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/countersign/countersign/internal/help"
	"github.com/countersign/countersign/internal/spelling"
)

// subcommand is the Args of a command that does nothing without a subcommand.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", shorten(args[0]), cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return fmt.Errorf("%w: did you mean %s?", err, strings.Join(similar, " or "))
	}
	return err
}

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

// addBuiltins adds cobra's commands help and completion, which cobra would add when
// the command is executed. An unknown topic or shell is a usage error. The output of
// root is set before, because the command completion keeps it.
func addBuiltins(root *cobra.Command) {
	root.SetHelpTemplate(helpTemplate)
	root.InitDefaultVersionFlag()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Use, cmd.Short = "help [COMMAND or TOPIC]", "Help about a command or a topic"
			cmd.Long = "Show the help of a command or a topic. Without one, list the commands and the topics."
			cmd.Run, cmd.RunE = nil, helpOn
		case "completion":
			cmd.Args, cmd.RunE = subcommand, showHelp
		}
	}
}

// helpOn shows the help of the command or of the topic that args name. Without args
// it also lists the topics.
func helpOn(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) == 0 {
		found.InitDefaultHelpFlag()
		err = found.Help()
		if found == cmd.Root() {
			cmd.Println(listTopics())
		}
		return err
	}
	if len(args) > 1 {
		return usageError{fmt.Errorf("no help for %q: countersign help lists commands and topics", shorten(strings.Join(args, " ")))}
	}
	text, err := help.Text(args[0])
	if err != nil {
		return usageError{fmt.Errorf("no help for %q: %w", shorten(args[0]), err)}
	}
	cmd.Print(text)
	return nil
}

func listTopics() string {
	var list strings.Builder
	list.WriteString("\nHelp topics:\n")
	for _, topic := range help.Topics() {
		fmt.Fprintf(&list, "  %-20s %s\n", topic.Name, topic.Title)
	}
	list.WriteString("\nUse \"countersign help TOPIC\" or \"countersign help TOPIC#SECTION\" for a topic.")
	return list.String()
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// flagError improves an error about a flag. A value is never repeated: it may be a
// passphrase.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %w", e.GetFlag().Name, valueError(e))
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	name := unknown.GetSpecifiedName()
	err = fmt.Errorf("unknown flag: --%s", shorten(name))
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		err = fmt.Errorf("unknown shorthand flag: %q in -%s", name[0], shorten(short))
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if similar := spelling.Nearest(name, names); similar != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, similar)
	}
	return err
}

// shorten returns a word of the command line for an error. It does not repeat a
// long word, which may be a key or end with one.
func shorten(word string) string {
	if len(word) > 30 {
		return fmt.Sprintf("(%d bytes)", len(word))
	}
	return word
}

// valueError tells which values a flag takes. Errors of flags that this program
// defines do not repeat the value.
func valueError(e *pflag.InvalidValueError) error {
	switch e.GetFlag().Value.Type() {
	case "duration":
		return errors.New("want a duration, such as 30s or 5m")
	case "bool":
		return errors.New("want no value, or true or false")
	}
	return e.Unwrap()
}
