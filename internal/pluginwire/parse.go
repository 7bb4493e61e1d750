package pluginwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// ParseReply reads the reply to the request with that id.
func ParseReply(data []byte, id string) (Reply, error) {
	if len(data) > MaxReply {
		return Reply{}, fmt.Errorf("the reply has more than %d bytes", MaxReply)
	}
	var r Reply
	if err := parse(data, &r); err != nil {
		return Reply{}, fmt.Errorf("the reply %w", err)
	}
	switch {
	case r.Version != Version:
		return Reply{}, fmt.Errorf("the reply is of version %d of the protocol, want %d", r.Version, Version)
	case r.ID != id:
		return Reply{}, errors.New("the reply has another id than the request")
	case (r.Result == nil) == (r.Error == nil):
		return Reply{}, errors.New("the reply has not exactly one of result and error")
	}
	return r, nil
}

// ParseRequest reads a request.
func ParseRequest(data []byte) (Request, error) {
	var r Request
	if err := parse(data, &r); err != nil {
		return Request{}, fmt.Errorf("the request %w", err)
	}
	if r.Version != Version {
		return Request{}, fmt.Errorf("the request is of version %d of the protocol, want %d", r.Version, Version)
	}
	return r, nil
}

// parse reads one JSON object in which no object has a name twice. White space may
// follow it, and nothing else. Unknown names are ignored, so that a later version
// can add some.
func parse(data []byte, to any) error {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) == 0 {
		return errors.New("is empty")
	} else if start[0] != '{' {
		return errors.New("is no JSON object")
	}
	if err := checkNames(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil { // also for bytes after the object
		return describe(err)
	}
	return nil
}

// describe leaves out the bytes that encoding/json quotes: they are foreign.
func describe(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // a number follows
		return fmt.Errorf("has a member of the wrong type: %s is a %s", wrong.Field, kind)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("is not one JSON object: mistake at byte %d", syntax.Offset)
	}
	return errors.New("has a member that cannot be decoded")
}

// nameRule keeps encoding/json from taking "ID" for "id".
var nameRule = regexp.MustCompile(`^[a-z0-9_]*$`)

// An object is a JSON object or array that is being read.
type object struct {
	names    map[string]bool // nil in an array
	wantName bool
}

// checkNames checks the names in all objects of data. It leaves the rest of the
// syntax to encoding/json.
func checkNames(data []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(data))
	var open []*object
	for {
		token, err := tokens.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return describe(err)
		}
		in := &object{}
		if len(open) > 0 {
			in = open[len(open)-1]
		}
		if name, ok := token.(string); ok && in.wantName {
			if !nameRule.MatchString(name) {
				return errors.New("has a name with other characters than a-z, 0-9 and _")
			}
			if in.names[name] {
				return fmt.Errorf("has the name %q twice in one object", name)
			}
			in.names[name], in.wantName = true, false
			continue
		}
		in.wantName = in.names != nil // after this value
		switch token {
		case json.Delim('{'):
			open = append(open, &object{names: map[string]bool{}, wantName: true})
		case json.Delim('['):
			open = append(open, &object{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			if len(open) > 0 {
				open[len(open)-1].wantName = open[len(open)-1].names != nil
			}
		}
	}
}
