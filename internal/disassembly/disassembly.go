// Package disassembly reads the instructions of a test's binary, and holds them against
// the CPU features that assembly says it needs. It is for tests, and for Linux: Check.
package disassembly
