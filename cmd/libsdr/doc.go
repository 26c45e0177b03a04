// Libsdr is the C library: `make libsdr` builds bin/libsdr.so and bin/libsdr.a. Its contract is
// sdr.h. The functions in sdr.h are written in C (libsdr.c), which waits for jobs and calls
// callbacks; what they need of Go is exported here and has names that begin with libsdr_.
package main

// A C library has no main. Without a C compiler, or Linux, this is all that there is.
func main() {}
