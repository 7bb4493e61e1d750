package challenge

import "net/http"

// cleanLocation replaces the Location of a redirect that is no URL, because the error
// of http.Client repeats it. The new text has no secrets and is no URL either.
func cleanLocation(resp *http.Response, secrets func() []string) {
	location := resp.Header.Get("Location")
	if location == "" || resp.StatusCode < 300 || resp.StatusCode >= 400 || isURL(resp, location) {
		return
	}
	location = foreignText(location, secrets())
	if isURL(resp, location) {
		location = ":" + location // an empty scheme
	}
	resp.Header.Set("Location", location)
}

// isURL reports whether location is a URL, or is one relative to that of the request.
func isURL(resp *http.Response, location string) bool {
	_, err := resp.Request.URL.Parse(location)
	return err == nil
}
