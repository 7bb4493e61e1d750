package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// complete makes the shell complete the arguments in the usage line of each command:
// REF, FROM and TO as references, FILE as a file, and no other argument as a file.
func (a *app) complete(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("key", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return completeRef(typed)
	}) // fails for a flag that does not exist only
	completeArgs(root)
}

func completeArgs(cmd *cobra.Command) {
	names := strings.Fields(cmd.Use)[1:]
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if isSSH(cmd) && len(args) == 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		position := len(args)
		if last := len(names) - 1; last >= 0 && strings.Contains(names[last], "...") {
			position = min(position, last)
		}
		if position >= len(names) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		switch strings.Trim(names[position], "[].") {
		case "REF", "FROM", "TO":
			return completeRef(typed)
		case "NAME":
			return plugins(""), cobra.ShellCompDirectiveNoFileComp
		case "FILE":
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, sub := range cmd.Commands() {
		completeArgs(sub)
	}
}

// completeRef completes the scheme, and then the name of a variable, a file or a key
// in the agent. It does not look into keychains, which might ask for a password.
func completeRef(typed string) ([]string, cobra.ShellCompDirective) {
	const more = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	scheme, name, ok := strings.Cut(typed, ":")
	if !ok {
		var schemes []string
		for _, s := range slices.Sorted(maps.Keys(backends.New().Mux())) {
			schemes = append(schemes, s+":")
		}
		return schemes, more
	}
	switch scheme {
	case "env":
		return variables(), cobra.ShellCompDirectiveNoFileComp
	case "file":
		return files(name), more
	case "plugin":
		return plugins(":"), more
	case "agent":
		return agentKeys(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, more
}

// agentKeys returns the fingerprints of the keys that the agent lists, because a shell
// would take a comment with spaces apart. Each has its comment as a description.
func agentKeys() []string {
	ctx, cancel := context.WithTimeout(context.Background(), quietTimeout)
	defer cancel()
	c, err := signer.Await(ctx, config.Load)
	if err != nil {
		return nil
	}
	keys, err := c.Backends().Agent.List(ctx)
	if err != nil {
		return nil
	}
	var refs []string
	for _, k := range keys {
		refs = append(refs, "agent:"+ssh.FingerprintSHA256(k.PublicKey)+"\t"+printable.Text(k.Comment))
	}
	return refs
}

func variables() []string {
	var refs []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		refs = append(refs, "env:"+name)
	}
	return refs
}

// plugins returns the plugins in PATH: their names, or the beginnings of references
// to their keys if end is ":". It starts none of them.
func plugins(end string) []string {
	var names []string
	for _, f := range new(plugin.Backend).Find() {
		if end == "" {
			names = append(names, f.Name)
		} else {
			names = append(names, "plugin:"+f.Name+end)
		}
	}
	return names
}

// files returns the names of the files in the folder of a name that a person is
// typing, as references.
func files(typed string) []string {
	folder := typed[:strings.LastIndexByte(typed, '/')+1]
	path := folder
	if rest, ok := strings.CutPrefix(folder, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		path = filepath.Join(home, rest)
	}
	if path == "" {
		path = "."
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	var refs []string
	for _, e := range entries {
		ref := "file:" + folder + e.Name()
		if e.IsDir() {
			ref += "/"
		}
		refs = append(refs, ref)
	}
	return refs
}
