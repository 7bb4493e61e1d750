package scope

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"repository:a/b:pull,push"}, "repository:a/b:pull,push"},
		{[]string{"repository:a:pull repository:b:push", "registry:catalog:*"}, "repository:a:pull repository:b:push registry:catalog:*"},
		{[]string{"repository:a:pull", "repository:a:push,pull"}, "repository:a:pull,push"},
		{[]string{"repository:host:5000/a:pull"}, "repository:host:5000/a:pull"},
		{[]string{"repository(plugin):a:pull"}, "repository(plugin):a:pull"},
		{[]string{"repository:a:pull,,push,"}, "repository:a:pull,push"},
		{[]string{"  a:b:c\t d:e:f\n"}, "a:b:c d:e:f"},
		{[]string{"a", "a:b", ":b:c", "a::c", "a:b:", ":", "::", ":::"}, ""},
		{[]string{"a:b:,"}, ""},
	} {
		var got []string
		for _, a := range Parse(tt.values) {
			got = append(got, a.String())
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%q: got %q, want %q", tt.values, text, tt.want)
		}
	}
}

func TestParseHasALimit(t *testing.T) {
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("repository:a%d:pull", i))
	}
	if n := len(Parse(all)); n != maxResources {
		t.Errorf("%d resources, want %d", n, maxResources)
	}
}
