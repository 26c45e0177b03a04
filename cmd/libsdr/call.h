// What libsdr.c and load.c share.

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

// A call that waits for its job.
struct call {
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	int done;
	int code;
	char *result, *error;
	uint64_t handle;
};

// What a thread has to itself while it is outside of Go code.
struct outside {
	sigset_t mask;
	char name[16];
};

// A thread enters Go code, and leaves it. In between it blocks the signals that a process gets
// from outside, and is called sdr-go: so are, and do, the threads that the Go runtime makes then.
void libsdr_enter(struct outside *);
void libsdr_leave(const struct outside *);

// Called in a child of this process.
void libsdr_in_child(void);
