// Package audit writes a line for each decision of the gate.
package audit

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/gate/scope"
	"github.com/countersign/countersign/internal/printable"
)

// A Decision is granted or refused. It has no token and no signature.
type Decision struct {
	Time    time.Time      `json:"time"`
	Granted bool           `json:"granted"`
	Status  int            `json:"status,omitempty"` // of the reply, unless it comes from the server behind the gate
	Reason  string         `json:"reason,omitempty"` // why it was refused
	Name    string         `json:"name,omitempty"`   // of the key's owner, if the key is enrolled
	Key     string         `json:"key,omitempty"`    // fingerprint, if the client proved the key
	Address string         `json:"address"`
	Site    string         `json:"site"`
	Method  string         `json:"method"`
	Path    string         `json:"path"` // without the query
	Access  []scope.Access `json:"access,omitempty"`
	Asked   []scope.Access `json:"asked,omitempty"`  // if it is not the same as Access
	Secret  string         `json:"secret,omitempty"` // the id of a helper secret

	// Omitted is the number of resources that Access and Asked had beyond the first ten.
	Omitted int `json:"omitted,omitempty"`
}

// The limits of a line, so that nobody can fill the log with long requests.
const (
	maxResources = 10
	maxActions   = 5
	maxName      = 256 // bytes: the longest name of a repository has 255
	maxWord      = 32  // bytes of a type, of an action, and of the id of a helper secret
)

// A Log writes decisions as JSON, one in each line. It is safe for concurrent use.
type Log struct {
	path string

	mu  sync.Mutex
	out io.Writer
}

// New returns a Log that writes to out.
func New(out io.Writer) *Log { return &Log{out: out} }

// Open returns a Log that appends to the file at path, which it makes with the mode
// 0600 if it is missing. Errors are those of package os.
func Open(path string) (*Log, error) {
	l := &Log{path: path}
	return l, l.Reopen()
}

// Reopen opens the file again, as is needed after a program has renamed it.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return printable.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.out.(io.Closer); ok {
		old.Close()
	}
	l.out = f
	return nil
}

// Write writes d. Text of clients is made printable and cut.
func (l *Log) Write(d Decision) error {
	d.Reason, d.Path, d.Method, d.Secret = printable.Text(d.Reason), printable.Text(d.Path), printable.Text(d.Method), cut(d.Secret, maxWord)
	d.Omitted = max(len(d.Access)-maxResources, 0) + max(len(d.Asked)-maxResources, 0)
	d.Access, d.Asked = cutAll(d.Access), cutAll(d.Asked)
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.out.Write(append(printable.JSON(line), '\n'))
	return err
}

// cutAll returns the first of all with texts that are not too long.
func cutAll(all []scope.Access) (list []scope.Access) {
	for _, a := range all[:min(len(all), maxResources)] {
		short := scope.Access{Type: cut(a.Type, maxWord), Name: cut(a.Name, maxName)}
		for _, action := range a.Actions[:min(len(a.Actions), maxActions)] {
			short.Actions = append(short.Actions, cut(action, maxWord))
		}
		list = append(list, short)
	}
	return list
}

// cut returns the start of a text that has more than limit bytes.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}
