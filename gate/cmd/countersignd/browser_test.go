package main

import (
	"bufio"
	"bytes"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
	"github.com/countersign/countersign/internal/webdriver"
)

// TestRule07_ConnectWithBrowser goes the whole way of a new key, with a real browser: the
// client shows the page, the operator runs the command of the page, and the client is
// connected. Then a client without the key claims hostile names.
func TestRule07_ConnectWithBrowser(t *testing.T) {
	browser, end := webdriver.Start(t)
	defer end()
	g := gatetest.Start(t, gatetest.Options{})
	c := startConnect(t, g.URL)
	browser.Open(c.page)

	fingerprint := browser.Text("#fingerprint")
	if fingerprint != c.fingerprint {
		t.Errorf("the page shows %s, the key is %s", fingerprint, c.fingerprint)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := browser.Text("#name"); got != host {
		t.Errorf("the page is for the machine %q, want %q", got, host)
	}
	if got := browser.Text("#origin"); got != g.Origin {
		t.Errorf("the page names the origin %s", got)
	}
	command := browser.Text("#command")
	if want := "countersignd approve " + fingerprint + " NAME"; command != want {
		t.Errorf("the page shows the command %q, want %q", command, want)
	}
	t.Run("Accessible", func(t *testing.T) { checkAccessible(t, browser) })
	t.Run("SecurityPolicy", func(t *testing.T) { checkPolicy(t, browser) })
	t.Run("HostileNames", func(t *testing.T) { checkHostileNames(t, browser, c.page) })

	t.Setenv(configVariable, filepath.Join(g.Folder, "countersignd.toml"))
	operator := strings.Fields(strings.Replace(command, "NAME", "alice", 1))
	if code, _, stderr := run(t, operator[1:]...); code != exitDone {
		t.Fatalf("%q: exit code %d\n%s", operator, code, stderr)
	}
	g.Reload()
	out, err := io.ReadAll(c.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("connect: %v\n%s", err, &c.stderr)
	}
	if want := "connected to " + g.Origin + ` as "alice": ` + fingerprint + "\n"; string(out) != want {
		t.Errorf("connect printed %q, want %q", out, want)
	}
}

// A connecting client has printed the address of its page.
type connecting struct {
	cmd               *exec.Cmd
	page, fingerprint string
	out               io.Reader // what it prints after that
	stderr            bytes.Buffer
}

// startConnect runs "countersign connect" with a new key, which the gate does not know.
func startConnect(t *testing.T, server string) *connecting {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "countersign")
	if out, err := exec.Command("go", "build", "-C", "../../..", "-o", program, "./cmd/countersign").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key := "file:" + filepath.Join(dir, "key")
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "COUNTERSIGN_CONFIG="+os.DevNull, "COUNTERSIGN_KEY="+key)
		return cmd
	}
	shown, err := command("key", "generate", key).Output()
	if err != nil {
		t.Fatal(err)
	}
	c := &connecting{cmd: command("connect", "--no-browser", "--timeout", "2m", server)}
	c.fingerprint, _, _ = strings.Cut(string(shown), "\n")
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	c.out = lines
	if c.page, err = lines.ReadString('\n'); err != nil {
		t.Fatalf("%v\n%s", err, &c.stderr)
	}
	c.page = strings.TrimSpace(c.page)
	return c
}

// contrasts returns the contrast of each text of the page with its background, as WCAG 2.2
// defines it (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
const contrasts = `
const luminance = color => {
	const [r, g, b] = color.match(/[\d.]+/g).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = e => {
	for (; e; e = e.parentElement) {
		const color = getComputedStyle(e).backgroundColor;
		if (!/, 0\)$/.test(color)) return color;
	}
	return 'rgb(255, 255, 255)';
};
const all = {};
for (const e of document.body.querySelectorAll('*')) {
	if (![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
	const [a, b] = [luminance(getComputedStyle(e).color), luminance(background(e))].sort();
	all[e.localName + '#' + e.id] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}
return all;`

// checkAccessible wants a language, a title, headings in order, contrast, and no
// horizontal scrolling on a small screen or with large text.
func checkAccessible(t *testing.T, browser *webdriver.Browser) {
	var page struct {
		Lang, Title string
		Headings    []string
		Mains       int
	}
	browser.Run(`return {
		lang: document.documentElement.lang, title: document.title,
		headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.localName),
		mains: document.querySelectorAll('main').length}`, &page)
	if page.Lang != "en" || page.Title == "" || page.Mains != 1 || strings.Join(page.Headings, " ") != "h1 h2" {
		t.Errorf("the page has %+v", page)
	}
	var ratios map[string]float64
	browser.Run(contrasts, &ratios)
	if len(ratios) < 6 {
		t.Errorf("only %d elements have text", len(ratios))
	}
	for element, ratio := range ratios {
		if ratio < 7 {
			t.Errorf("the contrast of %s is %.1f, want 7", element, ratio)
		}
	}
	const overflow = `return document.documentElement.scrollWidth - document.documentElement.clientWidth`
	for _, screen := range []struct {
		width int
		font  string
	}{{1280, "100%"}, {320, "100%"}, {640, "200%"}, {320, "200%"}} {
		browser.SetWidth(screen.width)
		var wider int
		browser.Run("document.documentElement.style.fontSize = '"+screen.font+"'; "+overflow, &wider)
		if wider > 0 {
			t.Errorf("at %d px and %s the page is %d px wider than the window", screen.width, screen.font, wider)
		}
	}
	browser.SetWidth(1280)
}

// checkPolicy wants the security policy to report nothing about the page itself, and to
// stop all that could be injected.
func checkPolicy(t *testing.T, browser *webdriver.Browser) {
	if log := browser.Log(); len(log) != 0 {
		t.Errorf("the console reports about the honest page: %q", log)
	}
	var ran []string
	browser.Run(`
		const add = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
		add('script', {textContent: 'window.ranScript = true'});
		add('script', {src: '/api/tags'});
		add('img', {src: '/x.png'});
		add('style', {textContent: '#fingerprint{color:rgb(1, 2, 3)}'});
		const button = document.createElement('button');
		button.setAttribute('onclick', 'window.ranHandler = true');
		button.click();
		const ran = ['ranScript', 'ranHandler'].filter(name => window[name]);
		if (getComputedStyle(document.querySelector('#fingerprint')).color === 'rgb(1, 2, 3)') ran.push('style');
		return ran;`, &ran)
	if len(ran) != 0 {
		t.Errorf("injected: %q", ran)
	}
	blocked := strings.Join(browser.Log(), "\n")
	for _, directive := range []string{"script-src", "img-src", "style-src"} {
		if !strings.Contains(blocked, directive) {
			t.Errorf("the console does not report that %s blocked something:\n%s", directive, blocked)
		}
	}
}

// checkHostileNames wants names that are code to be shown as text.
func checkHostileNames(t *testing.T, browser *webdriver.Browser, page string) {
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for _, name := range []string{
		`<script>document.title="x"</script>`, `</b><img src=x onerror=document.title="x">`, `"><svg onload=document.title="x">`,
		`{{.}}`, `javascript:document.title="x"`, `&lt;b&gt;`,
	} {
		query.Set("name", name)
		u.RawQuery = query.Encode()
		browser.Open(u.String())
		if got := browser.Text("#name"); got != name {
			t.Errorf("the name %s is shown as %s", name, got)
		}
		var state struct {
			Title    string
			Elements int
		}
		browser.Run(`return {title: document.title, elements: document.querySelectorAll('script, img, svg').length}`, &state)
		if state.Title == "x" || state.Elements != 0 {
			t.Errorf("the name %s: %+v", name, state)
		}
		if log := browser.Log(); len(log) != 0 {
			t.Errorf("the name %s: the console reports %q", name, log)
		}
	}
	query.Set("name", "alice\u202e"+strings.Repeat("x", 1000))
	u.RawQuery = query.Encode()
	browser.Open(u.String())
	if got := browser.Text("#name"); len(got) > 120 || strings.Contains(got, "\u202e") {
		t.Errorf("a long name is shown as %q", got)
	}
}
