// Package ffi stands in for the real one: functions of the same types, which do nothing.
package ffi

// Version is an int.
const Version int = 3
