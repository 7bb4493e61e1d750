package keyring_test

import (
	"time"
)

// patience is for tests of what works: the machine may be busy.
const patience = time.Minute

var badNames = []string{"../escape", "/absolute/name", "double//slash", "trailing/", "a/./b", "semi;colon", `back\slash`}
