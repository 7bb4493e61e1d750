package sshsig

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/printable"
)

// options are the options of a line of allowed signers.
type options struct {
	isAuthority bool
	namespaces  *patternList // nil: all
	after       time.Time    // zero: no limit
	before      time.Time
}

// parseOptions reads NAME or NAME="VALUE", with commas between them. The case of a
// name does not matter. A backslash is refused: only a quotation mark needs one.
func parseOptions(text string) (options, error) {
	var o options
	if strings.Contains(text, `\`) {
		return o, errors.New("options with a backslash are not supported")
	}
	for text != "" {
		name, value, rest, err := cutOption(text)
		if err == nil {
			err = o.set(strings.ToLower(name), value)
		}
		if err != nil {
			return options{}, err
		}
		text = rest
	}
	if !o.after.IsZero() && !o.before.IsZero() && !o.before.After(o.after) {
		return options{}, errors.New("valid-before is not after valid-after")
	}
	return o, nil
}

// cutOption cuts the first option off. value is nil if the option has none.
func cutOption(text string) (name string, value *string, rest string, err error) {
	end := strings.IndexAny(text, `,="`)
	switch {
	case end < 0:
		return text, nil, "", nil
	case strings.HasPrefix(text[end:], `="`):
		quoted, after, ok := strings.Cut(text[end+2:], `"`)
		if !ok {
			return "", nil, "", errors.New("a quotation mark without its end")
		}
		name, value, rest = text[:end], &quoted, after
	case text[end] != ',':
		return "", nil, "", fmt.Errorf("the value of an option is in quotation marks: %s", printable.Quote(text))
	default:
		name, rest = text[:end], text[end:]
	}
	if rest == "" {
		return name, value, "", nil
	}
	rest, ok := strings.CutPrefix(rest, ",")
	if !ok || rest == "" {
		return "", nil, "", errors.New("options are separated by one comma")
	}
	return name, value, rest, nil
}

func (o *options) set(name string, value *string) error {
	if name == "cert-authority" && value == nil {
		o.isAuthority = true
		return nil
	}
	var isSet bool
	switch name {
	case "namespaces":
		isSet = o.namespaces != nil
	case "valid-after":
		isSet = !o.after.IsZero()
	case "valid-before":
		isSet = !o.before.IsZero()
	default:
		return fmt.Errorf("unknown option %s", printable.Quote(name))
	}
	if value == nil || isSet {
		return fmt.Errorf(`the option %s comes once and has a value: %s="..."`, name, name)
	}
	if name == "namespaces" {
		list := patternList(*value)
		o.namespaces = &list
		return nil
	}
	t, err := parseTime(*value, time.Local)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if name == "valid-after" {
		o.after = t
	} else {
		o.before = t
	}
	return nil
}

// allow returns nil if the options allow a signature in namespace at that time.
func (o options) allow(namespace string, at time.Time) error {
	switch {
	case o.namespaces != nil && !o.namespaces.matches(namespace):
		return fmt.Errorf("the key is not for the namespace %s, only for %s", printable.Quote(namespace), printable.Quote(string(*o.namespaces)))
	case !o.after.IsZero() && at.Before(o.after):
		return fmt.Errorf("the key is valid after %s", o.after.Format(time.RFC3339))
	case !o.before.IsZero() && at.Truncate(time.Second).After(o.before):
		return fmt.Errorf("the key was valid before %s", o.before.Format(time.RFC3339))
	}
	return nil
}

// parseTime reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with "Z" or "UTC" at its end
// or in the time zone of zone. OpenSSH takes a local time for standard time, also in
// summer.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	digits, isUTC := strings.CutSuffix(text, "Z")
	if !isUTC {
		digits, isUTC = strings.CutSuffix(text, "UTC")
	}
	const layout = "20060102150405"
	n := len(digits)
	if n != len("YYYYMMDD") && n != len("YYYYMMDDHHMM") && n != len(layout) {
		return time.Time{}, errTime
	}
	t, err := time.Parse(layout[:n], digits)
	if err != nil {
		return time.Time{}, errTime
	}
	if !isUTC {
		t = t.Add(-standardOffset(t, zone)).In(zone)
	}
	if t.Unix() <= 0 {
		return time.Time{}, errTime
	}
	return t, nil
}

var errTime = errors.New("want a time as YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z at its end for UTC")

// standardOffset returns the offset from UTC of the standard time of zone around t.
func standardOffset(t time.Time, zone *time.Location) time.Duration {
	_, offset := t.In(zone).Zone()
	for month := range 12 {
		near := t.AddDate(0, month, 0).In(zone)
		if !near.IsDST() {
			_, offset = near.Zone()
			break
		}
	}
	return time.Duration(offset) * time.Second
}
