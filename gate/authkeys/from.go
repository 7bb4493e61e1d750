package authkeys

import (
	"fmt"
	"net/netip"
	"path"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// patterns is the value of from=: a list of networks, addresses and addresses with
// wildcards, each perhaps negated (ssh_config(5), "PATTERNS").
type patterns []pattern

type pattern struct {
	negated bool
	network netip.Prefix // if valid
	glob    string       // else
}

// parsePatterns reads the value of from=. Host names are a mistake: the gate asks no
// name server who a client is.
func parsePatterns(value string) (patterns, error) {
	var all patterns
	for text := range strings.SplitSeq(value, ",") {
		var p pattern
		text, p.negated = strings.CutPrefix(text, "!")
		switch {
		case strings.Contains(text, "/"):
			network, err := netip.ParsePrefix(text)
			if err != nil || network != network.Masked() || network.Addr().Is4In6() {
				return nil, fmt.Errorf("the option from: %s is not a network, such as 10.0.0.0/8", printable.Quote(text))
			}
			p.network = network
		case isAddress(text):
			p.network, _ = parseAddress(text)
		case text != "" && strings.Trim(text, "0123456789abcdefABCDEF.:*?") == "" && strings.ContainsAny(text, "*?"):
			p.glob = strings.ToLower(text)
		default:
			return nil, fmt.Errorf("the option from: %s is not an address: want addresses and networks, host names are not looked up", printable.Quote(text))
		}
		all = append(all, p)
	}
	return all, nil
}

func isAddress(text string) bool {
	_, ok := parseAddress(text)
	return ok
}

func parseAddress(text string) (netip.Prefix, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, false
	}
	ip = ip.Unmap()
	return netip.PrefixFrom(ip, ip.BitLen()), true
}

// match reports whether address fits one pattern and no negated one.
func (all patterns) match(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	found := false
	for _, p := range all {
		if !address.IsValid() || !p.match(address) {
			continue
		}
		if p.negated {
			return false
		}
		found = true
	}
	return found
}

func (p pattern) match(address netip.Addr) bool {
	if p.network.IsValid() {
		return p.network.Contains(address)
	}
	ok, _ := path.Match(p.glob, address.String())
	return ok
}
