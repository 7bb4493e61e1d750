//go:build !windows

package access

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// isPrivateGroup reports whether gid is the primary group of the user uid, has
// the user's name and no other member. Distributions make such a group for each
// user and set the umask to 002. A user or group that is in a directory service
// and not in /etc is not known here, and its group counts as shared.
func isPrivateGroup(uid, gid int) bool {
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return false
	}
	groups, err := os.ReadFile("/etc/group")
	return err == nil && isPrivate(uid, gid, string(users), string(groups))
}

// isPrivate takes the text of passwd(5) and group(5).
func isPrivate(uid, gid int, users, groups string) bool {
	name := ""
	for _, user := range records(users, 4) { // name, password, uid, gid
		switch {
		case user[2] == strconv.Itoa(uid):
			if name != "" || user[3] != strconv.Itoa(gid) {
				return false
			}
			name = user[0]
		case user[3] == strconv.Itoa(gid):
			return false // another user's primary group, too
		}
	}
	found := false
	for _, group := range records(groups, 4) { // name, password, gid, members
		if group[2] != strconv.Itoa(gid) {
			continue
		}
		members := strings.FieldsFunc(group[3], func(r rune) bool { return r == ',' })
		if group[0] != name || slices.ContainsFunc(members, func(m string) bool { return m != name }) {
			return false
		}
		found = true
	}
	return found
}

// records returns the lines of text that have at least n fields.
func records(text string, n int) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) >= n {
			all = append(all, fields)
		}
	}
	return all
}
