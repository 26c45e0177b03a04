package hugepages_test

// Tests that need a process of their own: the test binary, started again.

const childVariable = "SDR_HUGEPAGES_CHILD"

func runChild(string) {}
