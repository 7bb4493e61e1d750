//go:build !linux && !darwin && !windows

package file

import "errors"

func renameNew(_, _ string) error { return errors.ErrUnsupported }
