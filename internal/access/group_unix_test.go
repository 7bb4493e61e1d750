//go:build unix

package access

import "testing"

func TestIsPrivateGroup(t *testing.T) {
	const users = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000:,,,:/home/me:/bin/sh\nyou:x:1001:100::/home/you:/bin/sh\nshared:x:1002:1001::/:\nguest:x:1003:1001::/:\n"
	for _, tt := range []struct {
		name     string
		uid, gid int
		groups   string
		want     bool
	}{
		{"private", 1000, 1000, "root:x:0:\nme:x:1000:\n", true},
		{"lists its own user", 1000, 1000, "me:x:1000:me\n", true},
		{"last line without its end", 1000, 1000, "me:x:1000:", true},
		{"another member", 1000, 1000, "me:x:1000:you\n", false},
		{"two members", 1000, 1000, "me:x:1000:me,you\n", false},
		{"another name", 1000, 1000, "users:x:1000:\n", false},
		{"a second name", 1000, 1000, "me:x:1000:\nothers:x:1000:you\n", false},
		{"unknown", 1000, 1000, "root:x:0:\n", false},
		{"not primary", 1001, 1001, "you:x:1001:\n", false},
		{"also another user's primary group", 1002, 1001, "shared:x:1001:\n", false},
		{"another user's", 1001, 1000, "me:x:1000:\n", false},
		{"a user who is in no file", 1234, 1000, "me:x:1000:\n", false},
		{"of root", 0, 0, "root:x:0:\n", true},
		{"nothing", 1000, 1000, "", false},
	} {
		if got := isPrivate(tt.uid, tt.gid, users, tt.groups); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Group files in which other accounts could have the user's number or group.
func TestIsPrivateGroupOfStrangeFiles(t *testing.T) {
	for _, tt := range []struct {
		name, users, groups string
		uid, gid            int
		want                bool
	}{
		{"numbers of user and group differ", "me:x:1000:2000:", "me:x:2000:", 1000, 2000, true},
		{"short records", "me:x:1000:1000", "me:x:1000:", 1000, 1000, true},
		{"records that are cut", "+\nme:x:1000:1000:\n", "+\nme:x:1000:\n", 1000, 1000, true},
		{"an empty member", "me:x:1000:1000:", "me:x:1000:me,", 1000, 1000, true},
		{"two users with one number", "you:x:1000:1000:\nme:x:1000:1000:", "me:x:1000:", 1000, 1000, false},
		{"the group is not the user's primary one", "me:x:1000:100:", "me:x:1000:", 1000, 1000, false},
	} {
		if got := isPrivate(tt.uid, tt.gid, tt.users, tt.groups); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
