package pages_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/pages"
)

const page = `# Title

<!-- run: prepare -->
<!-- file: ~/a/b -->
` + "```toml\nx = 1\n```" + `

<!-- background: ~/log -->
` + "```sh\nserve \\\n  --fast\nserve again\n```" + `

` + "```sh\nnot run\n```" + `

` + "```console\n$ first \\\n  --flag\nits output\n\nends here\n$ second\n```\n"

func TestSteps(t *testing.T) {
	want := []pages.Step{
		{Command: "prepare"},
		{Command: "mkdir -p \"$(dirname ~/a/b)\" && cat >~/a/b <<'END_OF_FILE'\nx = 1\nEND_OF_FILE"},
		{Command: "serve   --fast >>~/log 2>&1 &"},
		{Command: "serve again >>~/log 2>&1 &"},
		{Command: "first \\\n  --flag", Want: "its output\n\nends here"},
		{Command: "second"},
	}
	if diff := cmp.Diff(want, pages.Steps(page)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
