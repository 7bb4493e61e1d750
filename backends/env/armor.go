package env

import (
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// armor is a PEM block whose lines may have lost their breaks.
var armor = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END ([A-Z0-9 ]+)-----`)

func isArmored(s string) bool {
	return strings.Contains(s, "-----BEGIN") || strings.Contains(s, "-----END")
}

// rearm writes the private keys in s anew, with the line breaks that encoding/pem
// wants, and leaves out other blocks and the text around.
func rearm(s string) ([]byte, error) {
	blocks := armor.FindAllStringSubmatch(s, -1)
	if n := len(blocks); strings.Count(s, "-----BEGIN") != n || strings.Count(s, "-----END") != n {
		return nil, fmt.Errorf("damaged PEM (%d bytes): cut short, or BEGIN and END lines that do not pair", len(s))
	}
	var keys []byte
	for _, b := range blocks {
		label, body, end := b[1], b[2], b[3]
		if label != end {
			return nil, errors.New("damaged PEM: the END line is another block's")
		}
		if !strings.HasSuffix(label, "PRIVATE KEY") {
			continue
		}
		block, err := dearmor(label, body)
		if err != nil {
			return nil, err
		}
		keys = append(keys, pem.EncodeToMemory(block)...)
	}
	if keys == nil && strings.Contains(s, "PUBLIC KEY-----") {
		return nil, errPublic
	}
	if keys == nil {
		return nil, errors.New("PEM without a private key in it: a certificate?")
	}
	return keys, nil
}

// dearmor reads the text between BEGIN and END. It reads only the headers of an
// encrypted key (RFC 1421). Their values have no spaces, so each header is two words,
// also where the line breaks are lost.
func dearmor(label, body string) (*pem.Block, error) {
	block := &pem.Block{Type: label, Headers: make(map[string]string)}
	words := strings.Fields(body)
	for len(words) > 1 && (words[0] == "Proc-Type:" || words[0] == "DEK-Info:") {
		block.Headers[strings.TrimSuffix(words[0], ":")] = words[1]
		words = words[2:]
	}
	raw, err := decodeBase64(strings.Join(words, ""))
	if err != nil {
		return nil, fmt.Errorf("damaged PEM: between BEGIN and END, %w", err)
	}
	block.Bytes = raw
	return block, nil
}
