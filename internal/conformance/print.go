package conformance

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

// find looks for secrets in everything that prints v. It returns where it found
// the first one, or "".
func find(v any, secrets []form) string {
	for _, p := range prints(v) {
		joined := unbroken.Replace(p.text)
		for _, s := range secrets {
			if strings.Contains(p.text, s.text) || strings.Contains(joined, s.text) {
				return fmt.Sprintf("a %T printed with %s shows the %s", v, p.name, s.name)
			}
		}
	}
	return ""
}

// unbroken joins the lines of a PEM block, also where they were quoted.
var unbroken = strings.NewReplacer(`\\n`, "", `\n`, "", "\n", "", `\\r`, "", `\r`, "", "\r", "")

// prints returns v as each printer shows it, by itself and as a field of another
// value.
func prints(v any) []form {
	enclosed := struct{ v any }{v} // in an unexported field fmt calls no methods
	var out []form
	for _, v := range []any{v, enclosed} {
		out = append(out, formatted(v, "")...)
		out = append(out, logged(v)...)
		if b, err := json.Marshal(v); err == nil {
			out = append(out, form{"encoding/json", string(b)})
		}
	}
	eachPointee(reflect.ValueOf(enclosed).Field(0), map[place]bool{}, func(pointee reflect.Value) {
		out = append(out, formatted(pointee, " by a debugger")...)
	})
	return out
}

func formatted(v any, by string) []form {
	var out []form
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T"} {
		out = append(out, form{verb + by, fmt.Sprintf(verb, v)})
	}
	return out
}

func logged(v any) []form {
	var text, js strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("test", "value", v)
	slog.New(slog.NewJSONHandler(&js, nil)).Info("test", "value", v)
	return []form{{"slog as text", text.String()}, {"slog as JSON", js.String()}}
}

// place has a type because a struct and its first field share an address.
type place struct {
	address uintptr
	pointer reflect.Type
}

// eachPointee calls visit with each value that a pointer in v points to, at any
// depth. The fmt package prints an address there, but a debugger and go-cmp follow
// the pointer.
func eachPointee(v reflect.Value, seen map[place]bool, visit func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		at := place{v.Pointer(), v.Type()}
		if v.IsNil() || seen[at] {
			return
		}
		seen[at] = true
		visit(v.Elem())
		eachPointee(v.Elem(), seen, visit)
	case reflect.Interface:
		eachPointee(v.Elem(), seen, visit)
	case reflect.Struct:
		for _, field := range v.Fields() {
			eachPointee(field, seen, visit)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachPointee(v.Index(i), seen, visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachPointee(v.MapIndex(key), seen, visit)
		}
	}
}
