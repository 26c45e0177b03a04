package linux

import "golang.org/x/sys/unix"

// NoCore keeps a crash of this process from writing a core file. Its limit is one
// byte, not none: the kernel hands a core to a program that collects them whatever
// the limit, unless it is just that.
func NoCore() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	limit.Cur = min(1, limit.Max)
	return unix.Setrlimit(unix.RLIMIT_CORE, &limit)
}
