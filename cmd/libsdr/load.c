//go:build cgo && linux

// What the Go runtime needs of C. Nothing else refers to this file, so that in an archive, too,
// it is linked behind the runtime: after_go depends on that.

#include "call.h"

// The runtime makes its first thread when the library is loaded; most others come from that one,
// and have its name until they get one of their own. All have its signal mask. So the thread
// that loads the library is as in Go code meanwhile. The runtime is started by a constructor
// without a priority: before_go has one, and comes first; after_go has none, and comes in the order
// of linking. Were it otherwise, the runtime's threads would take signals, no more. The runtime
// has installed its handlers when its constructor returns.
static struct outside loader;

// The runtime's handler for SIGPIPE would keep the signal from a host that wants to die of it.
// The library's threads block it, and go by what write returns.
static struct sigaction on_broken_pipe;

__attribute__((constructor(101))) static void before_go(void) {
	libsdr_enter(&loader);
	sigaction(SIGPIPE, NULL, &on_broken_pipe);
	pthread_atfork(NULL, NULL, libsdr_in_child);
}

__attribute__((constructor)) static void after_go(void) {
	sigaction(SIGPIPE, &on_broken_pipe, NULL);
	libsdr_leave(&loader);
}

// Says what became of a call, once.
void libsdr_done(void *to, int code, char *result, char *error, uint64_t handle) {
	struct call *c = to;
	pthread_mutex_lock(&c->mutex);
	c->done = 1;
	c->code = code;
	c->result = result;
	c->error = error;
	c->handle = handle;
	pthread_cond_signal(&c->ended); // before unlock: afterwards c may be gone
	pthread_mutex_unlock(&c->mutex);
}
