//go:build cgo && linux

package main

// #include <stdint.h>
// #include <stdlib.h>
// void libsdr_done(void *call, int code, char *result, char *error, uint64_t handle);
import "C"

import (
	"cmp"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/cabi"
)

var (
	library cabi.Library

	calls struct {
		mu   sync.Mutex
		last uint64
		all  map[uint64]*cabi.Call
	}
)

// A fault that nobody can contain ends the process by a signal. Go's own way, exit code 2, is
// one that a host's supervisor may take for something else.
func init() { debug.SetTraceback("crash") }

// libsdr_start begins a call, and returns its number. When it has ended, libsdr_done is told.
//
//export libsdr_start
func libsdr_start(function C.int, machine C.uint64_t, request *C.char, length C.int, to unsafe.Pointer) C.uint64_t {
	text := C.GoBytes(unsafe.Pointer(request), length)
	calls.mu.Lock()
	defer calls.mu.Unlock()
	calls.last++
	number := calls.last
	call := library.Start(cabi.Function(function), uint64(machine), text, func(a cabi.Answer) {
		calls.mu.Lock()
		delete(calls.all, number)
		calls.mu.Unlock()
		var result, failure *C.char
		if a.Result != nil {
			result = C.CString(string(a.Result))
		}
		if a.Code != cabi.OK {
			failure = C.CString(a.Error)
		}
		C.libsdr_done(to, C.int(a.Code), result, failure, C.uint64_t(a.Handle))
	})
	if calls.all == nil {
		calls.all = map[uint64]*cabi.Call{}
	}
	calls.all[number] = call
	return C.uint64_t(number)
}

// find is a call at work, or nil.
func find(number C.uint64_t) *cabi.Call {
	calls.mu.Lock()
	defer calls.mu.Unlock()
	return calls.all[uint64(number)]
}

// libsdr_cancel cancels a call, if it has not ended.
//
//export libsdr_cancel
func libsdr_cancel(number C.uint64_t) {
	if c := find(number); c != nil {
		c.Cancel()
	}
}

// libsdr_progress says where a call stands, NULL if it has ended. The text is the caller's.
//
//export libsdr_progress
func libsdr_progress(number C.uint64_t) *C.char {
	if c := find(number); c != nil {
		return C.CString(string(c.Progress()))
	}
	return nil
}

// linkedVersion is what make sets with -ldflags, after git's tags.
var linkedVersion string

// abi is SDR_ABI.
const abi = 1

// libsdr_version is what the library is. The text is the caller's.
//
//export libsdr_version
func libsdr_version() *C.char {
	v := linkedVersion
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	text, _ := json.Marshal(struct { // strings: it cannot fail
		Version  string `json:"version"`
		ABI      int    `json:"abi"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{cmp.Or(v, "unknown version"), abi, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	return C.CString(string(text))
}
