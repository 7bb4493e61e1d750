package signertest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T"}

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

// prints returns what v looks like to all that may print it. In an unexported
// field fmt calls no methods, so a String method protects nothing.
func prints(v any) []form {
	type exported struct{ V any }
	type unexported struct{ v any }
	holders := []any{v, exported{v}, &exported{v}, unexported{v}, &unexported{v}}
	var out []form
	for _, h := range holders {
		for _, verb := range verbs {
			out = append(out, form{verb, fmt.Sprintf(verb, h)})
		}
		if b, err := json.Marshal(h); err == nil {
			out = append(out, form{"encoding/json", string(b)})
		}
		out = append(out, logged(h)...)
	}
	seen := map[uintptr]bool{}
	hidden := reflect.ValueOf(unexported{v}).Field(0).Elem()
	eachPointee(hidden, seen, func(pointee reflect.Value) {
		for _, verb := range verbs {
			out = append(out, form{verb + " by a debugger", fmt.Sprintf(verb, pointee)})
		}
	})
	return out
}

func logged(v any) []form {
	var text, js strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("test", "value", v)
	slog.New(slog.NewJSONHandler(&js, nil)).Info("test", "value", v)
	return []form{{"slog as text", text.String()}, {"slog as JSON", js.String()}}
}

// eachPointee calls visit with whatever pointers in v lead to, at any depth:
// fmt prints an address there, but a debugger and go-cmp follow it.
func eachPointee(v reflect.Value, seen map[uintptr]bool, visit func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
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
