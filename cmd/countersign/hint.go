package main

import (
	"strings"

	"github.com/countersign/countersign/signer"
)

// hintLine returns the hint of err as one line, or "" if it has none.
func hintLine(err error) string {
	hint, _ := signer.HintOf(err)
	if hint.See == "" {
		return hint.Do
	}
	topic, heading, _ := strings.Cut(hint.See, "#")
	see := "see docs/" + topic + ".md#" + heading
	if hint.Do == "" {
		return see
	}
	return hint.Do + "; " + see
}
