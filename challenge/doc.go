// Package challenge answers HTTP authentication challenges (RFC 9110, section
// 11) with a [signer.Signer].
//
// [Transport] does all of it inside any *http.Client: it meets a registry's 401,
// checks that the realm may be answered, signs, exchanges the signature for a
// bearer token and sends the request again. [Client] does the exchange alone;
// [Parse], [Sign] and [SignRequest] are the steps by themselves.
//
// The wire formats are those of Ollama's registry login, to the byte; see
// docs/wire-formats.md.
package challenge
