//go:build cgo && linux

// The functions of sdr.h. A caller's thread is in Go code for moments only, with signals
// blocked, since handlers without SA_ONSTACK must not run on a goroutine's small stack. It
// waits for its job here, in C, and here calls the callbacks.

#define _GNU_SOURCE

#include "sdr.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "_cgo_export.h"
#include "call.h"

enum { PRECOMMIT1, GENERATE, ADD_PIECE, COMMP, OPEN, CLOSE }; // cabi.Function

#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x

#define POLL_NS 100000000L // between two calls of cancel
#define PROGRESS_POLLS 10  // of those between two calls of progress

void libsdr_enter(struct outside *o) {
	// Not those that a thread causes itself, and not SIGURG, which the runtime sends to its own.
	static const int left[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGURG};
	sigset_t blocked;
	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++)
		sigdelset(&blocked, left[i]);
	pthread_sigmask(SIG_BLOCK, &blocked, &o->mask);
	prctl(PR_GET_NAME, o->name);
	prctl(PR_SET_NAME, "sdr-go");
}

void libsdr_leave(const struct outside *o) {
	prctl(PR_SET_NAME, o->name);
	pthread_sigmask(SIG_SETMASK, &o->mask, NULL);
}

// What a thread's last call said, until the thread ends.
static pthread_key_t last_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int no_key; // there is no room for one more thread-specific value

static void init(void) { no_key = pthread_key_create(&last_error, free); }

static int forked; // this is a child, which has none of the runtime's threads

void libsdr_in_child(void) { forked = 1; }

// Takes over a text, NULL for none.
static void keep_error(char *text) {
	if (pthread_once(&once, init) != 0 || no_key) {
		free(text);
		return;
	}
	free(pthread_getspecific(last_error));
	if (pthread_setspecific(last_error, text) != 0)
		free(text);
}

static int bad_request(const char *why) {
	keep_error(strdup(why));
	return SDR_BAD_REQUEST;
}

const char *sdr_last_error(void) {
	pthread_once(&once, init);
	const char *text = no_key ? NULL : pthread_getspecific(last_error);
	return text ? text : "";
}

void sdr_free(char *result) { free(result); }

// Waits until a call has ended, but no longer than until the next poll if poll is not 0.
static int wait_for(struct call *c, int poll) {
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += POLL_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&c->mutex);
	int err = 0;
	while (!c->done && err == 0)
		err = poll ? pthread_cond_timedwait(&c->ended, &c->mutex, &until) : pthread_cond_wait(&c->ended, &c->mutex);
	int done = c->done;
	pthread_mutex_unlock(&c->mutex);
	return done;
}

// Starts a call, waits until it has ended, and calls the callbacks meanwhile.
static void work(int function, uint64_t machine, const char *request, int length, const sdr_callbacks *callbacks, struct call *c) {
	static const sdr_callbacks none;
	if (!callbacks)
		callbacks = &none;
	int canceled = 0;
	if (callbacks->cancel && callbacks->cancel(callbacks->context)) {
		c->code = SDR_CANCELED;
		c->error = strdup("sdr: the caller has canceled it before it began");
		return;
	}
	struct outside outside;
	libsdr_enter(&outside);
	uint64_t number = libsdr_start(function, machine, (char *)request, length, c);
	libsdr_leave(&outside);
	for (int polls = 0;; polls++) {
		if (callbacks->progress && polls % PROGRESS_POLLS == 0) {
			libsdr_enter(&outside);
			char *json = libsdr_progress(number);
			libsdr_leave(&outside);
			if (json)
				callbacks->progress(callbacks->context, json);
			free(json);
		}
		if (wait_for(c, callbacks->progress || (callbacks->cancel && !canceled)))
			return;
		if (callbacks->cancel && !canceled && callbacks->cancel(callbacks->context)) {
			canceled = 1;
			libsdr_enter(&outside);
			libsdr_cancel(number);
			libsdr_leave(&outside);
		}
	}
}

static int run(int function, uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result, uint64_t *handle) {
	if (result)
		*result = NULL;
	if (!request)
		return bad_request("sdr: the request is NULL, want a JSON object");
	if (forked) {
		keep_error(strdup("sdr: this process was forked from one that had the library loaded: exec first"));
		return SDR_FAILED;
	}
	size_t length = strnlen(request, SDR_MAX_REQUEST + 1);
	if (length > SDR_MAX_REQUEST)
		return bad_request("sdr: the request has more than " TEXT(SDR_MAX_REQUEST) " bytes, the most that there may be");
	struct call c = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c.ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	work(function, machine, request, (int)length, callbacks, &c);
	pthread_cond_destroy(&c.ended);
	pthread_mutex_destroy(&c.mutex);
	keep_error(c.error);
	if (result)
		*result = c.result;
	if (handle)
		*handle = c.handle;
	return c.code;
}

static int run_job(int function, uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result) {
	if (!result)
		return bad_request("sdr: the place for the result is NULL");
	return run(function, machine, request, callbacks, result, NULL);
}

int sdr_open(const char *options, uint64_t *machine) {
	if (!machine)
		return bad_request("sdr: the place for the machine is NULL");
	*machine = 0;
	return run(OPEN, 0, options, NULL, NULL, machine);
}

int sdr_close(uint64_t machine) { return run(CLOSE, machine, "{}", NULL, NULL, NULL); }

int sdr_precommit1(uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result) {
	return run_job(PRECOMMIT1, machine, request, callbacks, result);
}

int sdr_generate(uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result) {
	return run_job(GENERATE, machine, request, callbacks, result);
}

int sdr_add_piece(const char *request, const sdr_callbacks *callbacks, char **result) {
	return run_job(ADD_PIECE, 0, request, callbacks, result);
}

int sdr_commp(const char *request, const sdr_callbacks *callbacks, char **result) {
	return run_job(COMMP, 0, request, callbacks, result);
}

static char *version;

static void read_version(void) {
	struct outside outside;
	libsdr_enter(&outside);
	version = libsdr_version();
	libsdr_leave(&outside);
}

const char *sdr_version(void) {
	static pthread_once_t read = PTHREAD_ONCE_INIT;
	if (forked)
		return version ? version : "{\"abi\":" TEXT(SDR_ABI) "}";
	pthread_once(&read, read_version);
	return version;
}
