package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/countersign/countersign/gate/audit"
	"github.com/countersign/countersign/gate/demo/internal/stage"
)

// show runs the demonstration and prints its table.
func show(ctx context.Context, out io.Writer) (err error) {
	var decisions bytes.Buffer
	s, err := stage.Start(ctx, stage.Options{Grants: grants, Decisions: &decisions})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p, err := newPlay(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "A gate at %s, with a registry and an Ollama server behind it. The key of alice is enrolled.\n\n", s.Origin)
	if err := p.run(ctx); err != nil {
		return err
	}
	return printTable(out, decisions.Bytes())
}

// printTable prints the decisions of the gate. Requests without a token, which only
// fetch the challenge, are left out.
func printTable(out io.Writer, decisions []byte) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHO\tASKED FOR\tDECISION\tWHY")
	for d := json.NewDecoder(bytes.NewReader(decisions)); ; {
		var line audit.Decision
		if err := d.Decode(&line); err == io.EOF {
			return t.Flush()
		} else if err != nil {
			return err
		}
		if line.Reason == "a token is needed" {
			continue
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\n", who(line), line.Method, shorten(line.Path), result(line), why(line))
	}
}

func who(d audit.Decision) string {
	switch {
	case d.Name != "":
		return d.Name
	case d.Key != "":
		return "key " + d.Key[:len("SHA256:")+6] + "..."
	}
	return "anonymous"
}

func result(d audit.Decision) string {
	if d.Granted {
		return "granted"
	}
	return fmt.Sprintf("refused (%d)", d.Status)
}

func why(d audit.Decision) string {
	if d.Reason != "" {
		return d.Reason
	}
	var all []string
	for _, a := range d.Access {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// shorten cuts digests and the names of uploads.
func shorten(path string) string {
	i := strings.LastIndexByte(path, '/') + 1
	if len(path)-i > 24 {
		return path[:i+16] + "..."
	}
	return path
}
