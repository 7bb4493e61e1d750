package main

import (
	"fmt"
	"strings"
)

// A panel is one bar chart of the picture: shorter is better.
type panel struct {
	title, unit string
	bars        []bar
}

type bar struct {
	name  string
	value float64
}

func bars(title, unit string, all []measurement) panel {
	p := panel{title: title, unit: unit}
	for _, m := range all {
		p.bars = append(p.bars, bar{m.name, m.median() / units[unit]})
	}
	return p
}

// The picture's measures, in pixels.
const (
	width, margin = 760, 16
	labels        = 190 // width of the names
	values        = 80  // width of the numbers
	step, thick   = 24, 14
	titleHeight   = 36
)

// style follows the reader's light or dark theme.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600}
.background{fill:#fff}
rect{fill:#aab4be}
.ours{fill:#0a7d64}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}
.background{fill:#0d1117}
rect{fill:#56616d}
.ours{fill:#35b999}
}
</style>
`

// chart draws panels one below the other.
func chart(panels []panel) string {
	var b strings.Builder
	y := margin
	for _, p := range panels {
		y = p.draw(&b, y)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Bar charts; the tables below have the same numbers">`+"\n", width, y) +
		style + `<rect class="background" width="100%" height="100%"/>` + "\n" + b.String() + "</svg>\n"
}

// draw draws p from y on and returns where it ends.
func (p panel) draw(b *strings.Builder, y int) int {
	longest := 0.0
	for _, bar := range p.bars {
		longest = max(longest, bar.value)
	}
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s, %s</text>`+"\n", margin, y+titleHeight/2, p.title, p.unit)
	y += titleHeight
	for _, bar := range p.bars {
		class := ""
		if bar.name == ours {
			class = ` class="ours"`
		}
		length := max(0, bar.value/longest) * (width - 2*margin - labels - values)
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text><rect%s x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text x="%.1f" y="%d">%s</text>`+"\n",
			margin, y+thick-2, bar.name, class, margin+labels, y, length, thick, margin+labels+length+8, y+thick-2, significant(bar.value))
		y += step
	}
	return y + margin
}
