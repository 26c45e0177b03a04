// Uses the library as a host would, in a directory that the test has made ready, and exits with
// 0 if all went as it should. It installs signal handlers of its own, without SA_ONSTACK, as many
// programs do. Built with -DLOAD it loads the library when it has them.
//
// usage: seal DIR [LIBRARY]

#define _GNU_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sdr.h"

#define CHECK(ok, ...) \
	do { \
		if (!(ok)) { \
			fprintf(stderr, "seal.c:%d: %s: ", __LINE__, #ok); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			exit(1); \
		} \
	} while (0)

// The library's functions, linked or loaded.
static struct {
	__typeof__(sdr_open) *open;
	__typeof__(sdr_close) *close;
	__typeof__(sdr_precommit1) *precommit1;
	__typeof__(sdr_generate) *generate;
	__typeof__(sdr_add_piece) *add_piece;
	__typeof__(sdr_commp) *commp;
	__typeof__(sdr_version) *version;
	__typeof__(sdr_last_error) *last_error;
	__typeof__(sdr_free) *free;
} sdr;

static void load(const char *path) {
#ifdef LOAD
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(library, "%s", dlerror());
#define GET(name) \
	*(void **)&sdr.name = dlsym(library, "sdr_" #name); \
	CHECK(sdr.name, "%s", dlerror())
#else
	(void)path;
#define GET(name) sdr.name = sdr_##name
#endif
	GET(open);
	GET(close);
	GET(precommit1);
	GET(generate);
	GET(add_piece);
	GET(commp);
	GET(version);
	GET(last_error);
	GET(free);
#ifdef LOAD
	CHECK(dlclose(library) == 0, "%s", dlerror()); // it stays
#endif
}

// What a thread is called. Thread 0 is the caller's.
static void name_of(pid_t thread, char name[16]) {
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)thread);
	FILE *f = fopen(path, "r");
	if (!f || !fgets(name, 16, f))
		*name = 0;
	name[strcspn(name, "\n")] = 0;
	if (f)
		fclose(f);
}

static int is_ours(const char *name) { return strncmp(name, "sdr-", 4) == 0; }

// Signals.

static volatile sig_atomic_t got[NSIG], on_library_thread;
static sigjmp_buf back;

static void on_signal(int number) {
	char name[16] = "";
	prctl(PR_GET_NAME, name);
	if (is_ours(name))
		on_library_thread = 1;
	got[number] = got[number] + 1;
}

static void on_fault(int number) {
	got[number] = got[number] + 1;
	siglongjmp(back, 1);
}

// Not SIGCHLD and SIGPROF: see sdr.h.
static const int asynchronous[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
enum { KINDS = sizeof asynchronous / sizeof *asynchronous };

static void install(int number, void (*handler)(int), int flags) {
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
	CHECK(sigaction(number, &a, NULL) == 0, "%d: %m", number);
}

static void install_asynchronous(void) {
	for (int i = 0; i < KINDS; i++)
		install(asynchronous[i], on_signal, SA_RESTART);
}

// The signals up to 31 that this thread blocks.
static unsigned long blocked(void) {
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	unsigned long bits = 0;
	for (int number = 1; number < 32; number++)
		bits |= (unsigned long)sigismember(&mask, number) << number;
	return bits;
}

static void nap(void) {
	struct timespec ms = {.tv_nsec = 1000000};
	nanosleep(&ms, NULL);
}

// Waits until a signal's handler has run so often.
static void until(int number, int times) {
	for (int i = 0; got[number] < times; i++) {
		CHECK(i < 60000, "signal %d came %d times, want %d", number, (int)got[number], times);
		nap();
	}
}

__attribute__((no_sanitize("address", "undefined"), noinline)) static int read_from(volatile int *p) { return *p; }

// Signals of all kinds, while a job is at work on another thread.
static void signals(pthread_t worker) {
	for (int i = 0; i < KINDS; i++) {
		int number = asynchronous[i], before = got[number];
		// Whichever thread takes it, one after another, so that none is joined with one before.
		for (int n = 1; n <= 50; n++) {
			CHECK(kill(getpid(), number) == 0, "%m");
			until(number, before + n);
		}
		// The thread that waits for its job.
		CHECK(pthread_kill(worker, number) == 0, "%m");
		until(number, before + 51);
		sigset_t one;
		sigemptyset(&one);
		sigaddset(&one, number);
		pthread_sigmask(SIG_BLOCK, &one, NULL);
		CHECK(kill(getpid(), number) == 0, "%m");
		until(number, before + 52); // only the worker can have taken it
		pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	}
	// One that comes from this thread itself.
	int before = got[SIGSEGV];
	for (int n = 0; n < 10; n++)
		if (sigsetjmp(back, 1) == 0)
			read_from((volatile int *)8);
	CHECK(got[SIGSEGV] == before + 10, "%d faults, want %d", (int)got[SIGSEGV], before + 10);
	before = got[SIGPIPE];
	int ends[2];
	CHECK(pipe(ends) == 0, "%m");
	close(ends[0]);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE, "%m");
	close(ends[1]);
	CHECK(got[SIGPIPE] == before + 1, "%d", (int)got[SIGPIPE]);
	CHECK(!on_library_thread, "a handler ran on one of the library's threads");
}

// Threads of the library are named, and block what comes from outside; ours are as they were.
static void threads(const char *mine) {
	DIR *d = opendir("/proc/self/task");
	CHECK(d, "%m");
	int ours = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char name[16], path[300], line[256];
		pid_t thread = atoi(e->d_name);
		if (thread == 0)
			continue;
		name_of(thread, name);
		snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
		FILE *f = fopen(path, "r");
		unsigned long long blocked = 0;
		while (f && fgets(line, sizeof line, f))
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
				break;
		if (f)
			fclose(f);
		if (!f || !*name)
			continue; // it has ended
		int blocks = blocked >> (SIGTERM - 1) & 1;
		ours += is_ours(name);
		CHECK(blocks == is_ours(name), "thread %s, %s, blocks %llx", e->d_name, name, blocked);
		CHECK(is_ours(name) || strcmp(name, mine) == 0, "a thread is called %s, want %s or sdr-…", name, mine);
	}
	closedir(d);
	CHECK(ours > 0, "none of the library's threads has a name");
}

// Files.

static const char *dir;

static char *path_of(const char *name) {
	char *path;
	CHECK(asprintf(&path, "%s/%s", dir, name) > 0, "%m");
	return path;
}

static char *read_file(const char *name) {
	char *path = path_of(name);
	FILE *f = fopen(path, "r");
	CHECK(f, "%s: %m", path);
	char *text = NULL;
	size_t size = 0;
	CHECK(getdelim(&text, &size, 0, f) > 0, "%s: %m", path);
	fclose(f);
	free(path);
	return text;
}

static void write_file(const char *name, const char *text) {
	char *path = path_of(name);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
	free(path);
}

// Jobs.

struct watch {
	pthread_t thread;
	int progress, cancel, cancel_at; // times called; when to cancel, 0 never
};

static void on_progress(void *context, const char *json) {
	struct watch *w = context;
	CHECK(pthread_equal(pthread_self(), w->thread), "progress comes on another thread");
	CHECK(strncmp(json, "{\"stage\":\"", 10) == 0, "%s", json);
	w->progress++;
}

static int on_cancel(void *context) {
	struct watch *w = context;
	CHECK(pthread_equal(pthread_self(), w->thread), "cancel comes on another thread");
	return ++w->cancel == w->cancel_at;
}

static sdr_callbacks watched(struct watch *w) {
	w->thread = pthread_self();
	return (sdr_callbacks){.progress = on_progress, .cancel = on_cancel, .context = w};
}

// A thread seals a sector: request NAME.json, result NAME.out.
static void *seal(void *name) {
	char *request, *result = NULL, *in, *out;
	CHECK(asprintf(&in, "%s.json", (char *)name) > 0 && asprintf(&out, "%s.out", (char *)name) > 0, "%m");
	request = read_file(in);
	struct watch w = {0};
	sdr_callbacks callbacks = watched(&w);
	int code = sdr.precommit1(0, request, &callbacks, &result);
	CHECK(code == SDR_OK, "%s: %d: %s", (char *)name, code, sdr.last_error());
	CHECK(w.progress > 0 && w.cancel > 0, "progress %d times, cancel %d times", w.progress, w.cancel);
	write_file(out, result);
	sdr.free(result);
	free(request);
	free(in);
	free(out);
	return NULL;
}

// A thread reads a piece from a pipe.
static void *piece_from_pipe(void *_) {
	(void)_;
	char *request = read_file("pipe.json"), *result = NULL;
	CHECK(sdr.commp(request, NULL, &result) == SDR_OK, "%s", sdr.last_error());
	write_file("pipe.out", result);
	sdr.free(result);
	free(request);
	return NULL;
}

/* kind_is frees a result of a call that failed, of which only the kind is known; NULL: not that either. */
static void kind_is(char *result, const char *kind) {
	char want[64];
	if (!kind) {
		CHECK(!result, "%s, want none", result);
		return;
	}
	snprintf(want, sizeof want, "{\"kind\":\"%s\"}", kind);
	CHECK(result && strcmp(result, want) == 0, "%s, want %s", result ? result : "NULL", want);
	sdr.free(result);
}

static void *error_of_another(void *_) {
	(void)_;
	CHECK(*sdr.last_error() == 0, "another thread has %s", sdr.last_error());
	char *result = (char *)"";
	CHECK(sdr.commp("{\"piece\":3,\"piece\":4}", NULL, &result) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	kind_is(result, "bad-input");
	CHECK(strstr(sdr.last_error(), "piece: it is there twice"), "%s", sdr.last_error());
	return NULL;
}

static void bad_requests(void) {
	static const char *const bad[] = {
		NULL, "", " ", "{", "[]", "null", "{}", "{}{}", "{\"sectors\":[]}", "{\"sectors\":3}", "{\"sectors\":[{}]}", "{\"sectors\":[null]}",
		"{\"sector\":1}", "{\"sectors\":[{\"proof\":\"StackedDrg2KiBV1_1\",\"proof\":\"StackedDrg2KiBV1_1\"}]}", "{\"name\":\"\xff\"}", "{\"name\":\"\\ud800\"}",
		"{\"name\":\"\"}", "{\"no-wait\":1}", "{\"sectors\":[{\"sector\":1e3}]}", "{\"sectors\":[{\"sector\":-1}]}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *result = (char *)"";
		int code = sdr.precommit1(0, bad[i], NULL, &result);
		CHECK(code == SDR_BAD_REQUEST && *sdr.last_error(), "%s: %d: %s", bad[i] ? bad[i] : "NULL", code, sdr.last_error());
		kind_is(result, bad[i] ? "bad-input" : NULL);
		code = sdr.generate(0, bad[i], NULL, &result);
		CHECK(code == SDR_BAD_REQUEST && *sdr.last_error(), "%s: %d: %s", bad[i] ? bad[i] : "NULL", code, sdr.last_error());
		kind_is(result, bad[i] ? "bad-input" : NULL);
		code = sdr.add_piece(bad[i], NULL, &result);
		CHECK(code == SDR_BAD_REQUEST && *sdr.last_error(), "%s: %d: %s", bad[i] ? bad[i] : "NULL", code, sdr.last_error());
		kind_is(result, bad[i] ? "bad-input" : NULL);
	}
	size_t length = SDR_MAX_REQUEST + 100;
	char *result, *huge = malloc(length + 1);
	CHECK(huge, "%m");
	memset(huge, ' ', length);
	huge[length] = 0;
	CHECK(sdr.commp(huge, NULL, &result) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	huge[SDR_MAX_REQUEST] = 0;
	CHECK(sdr.commp(huge, NULL, &result) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	kind_is(result, "bad-input");
	free(huge);
	CHECK(sdr.commp("{}", NULL, NULL) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	uint64_t machine = 7;
	CHECK(sdr.open("{\"kernel\":\"none\"}", &machine) == SDR_BAD_REQUEST && machine == 0, "%s", sdr.last_error());
	CHECK(sdr.open("{}", NULL) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	CHECK(sdr.open(NULL, &machine) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	CHECK(sdr.close(0) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	CHECK(sdr.close(12345) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	char *request = read_file("a.json");
	CHECK(sdr.precommit1(12345, request, NULL, &result) == SDR_BAD_REQUEST, "%s", sdr.last_error());
	kind_is(result, "bad-input");
	free(request);
	sdr.free(NULL);

	pthread_t other;
	CHECK(pthread_create(&other, NULL, error_of_another, NULL) == 0, "%m");
	pthread_join(other, NULL);
	CHECK(strstr(sdr.last_error(), "12345"), "%s", sdr.last_error());
}

static void cancels(void) {
	char *result;
	struct watch w = {.cancel_at = 1};
	sdr_callbacks callbacks = watched(&w);
	char *request = read_file("pipe.json");
	CHECK(sdr.commp(request, &callbacks, &result) == SDR_CANCELED, "%s", sdr.last_error());
	kind_is(result, NULL); // it did not begin
	CHECK(w.progress == 0 && w.cancel == 1, "progress %d times, cancel %d times", w.progress, w.cancel);
	w = (struct watch){.cancel_at = 3}; // when it waits for somebody to write
	callbacks = watched(&w);
	CHECK(sdr.commp(request, &callbacks, &result) == SDR_CANCELED, "%s", sdr.last_error());
	kind_is(result, "cancelled");
	CHECK(w.cancel == 3, "cancel %d times", w.cancel);
	free(request);

	uint64_t machine; // a job waits for others
	CHECK(sdr.open("{\"batch\":2,\"batch-wait\":\"1h\"}", &machine) == SDR_OK && machine != 0, "%s", sdr.last_error());
	w = (struct watch){.cancel_at = 2};
	callbacks = watched(&w);
	request = read_file("b.json");
	CHECK(sdr.precommit1(machine, request, &callbacks, &result) == SDR_CANCELED, "%s", sdr.last_error());
	sdr.free(result);
	free(request);
	CHECK(sdr.close(machine) == SDR_OK && *sdr.last_error() == 0, "%s", sdr.last_error());
}

static void forks(void) {
	pid_t child = fork();
	CHECK(child >= 0, "%m");
	if (child == 0) {
		char *result;
		_exit(sdr.commp("{}", NULL, &result) == SDR_FAILED && strstr(sdr.last_error(), "fork") && strstr(sdr.version(), "\"abi\":1") ? 0 : 1);
	}
	int status;
	while (waitpid(child, &status, 0) < 0)
		CHECK(errno == EINTR, "%m");
	CHECK(status == 0, "the child ends with %x", status);
}

int main(int argc, char **argv) {
	CHECK(argc > 1, "no directory");
	dir = argv[1];
	char mine[16], now[16];
	prctl(PR_GET_NAME, mine);
	unsigned long mask = blocked();
	struct sigaction before[NSIG];
#ifdef LOAD
	install_asynchronous();
	install(SIGSEGV, on_fault, 0);
#endif
	for (int number = 1; number < 32; number++)
		sigaction(number, NULL, &before[number]);
	load(argv[2]);
	for (int number = 1; number < 32; number++) {
		struct sigaction after;
		sigaction(number, NULL, &after);
		int taken = number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGURG;
#ifndef LOAD // it was there before main
		CHECK(taken || before[number].sa_handler == SIG_DFL || before[number].sa_handler == SIG_IGN, "signal %d has a handler", number);
#endif
		CHECK(taken || after.sa_handler == before[number].sa_handler, "signal %d has another handler", number);
	}
#ifndef LOAD
	install_asynchronous();
	install(SIGSEGV, on_fault, SA_ONSTACK);
#endif
	prctl(PR_GET_NAME, now);
	CHECK(strcmp(now, mine) == 0, "this thread is called %s, was %s", now, mine);
	CHECK(blocked() == mask, "the signal mask has changed");
	forks(); // before the first call, and at the end
	CHECK(strstr(sdr.version(), "\"abi\":1"), "%s", sdr.version());

	bad_requests();
	cancels();
	CHECK(blocked() == mask, "the signal mask has changed");

	pthread_t worker;
	CHECK(pthread_create(&worker, NULL, piece_from_pipe, NULL) == 0, "%m");
	char *pipe_path = path_of("pipe");
	int pipe_end = open(pipe_path, O_WRONLY); // returns when the job reads
	CHECK(pipe_end >= 0, "%m");
	signals(worker);
	threads(mine);
	char piece[127] = {0};
	CHECK(write(pipe_end, piece, sizeof piece) == sizeof piece, "%m");
	close(pipe_end);
	free(pipe_path);
	pthread_join(worker, NULL);

	char *request = read_file("add.json"), *result = NULL;
	CHECK(sdr.add_piece(request, NULL, &result) == SDR_OK, "%s", sdr.last_error());
	write_file("add.out", result);
	sdr.free(result);
	free(request);
	request = read_file("generate.json");
	CHECK(sdr.generate(0, request, NULL, &result) == SDR_OK, "%s", sdr.last_error());
	write_file("generate.out", result);
	sdr.free(result);
	free(request);

	// Two jobs at the same time, and signals all the while.
	pthread_t a, b;
	CHECK(pthread_create(&a, NULL, seal, "a") == 0 && pthread_create(&b, NULL, seal, "b") == 0, "%m");
	int times = got[SIGUSR1];
	for (int n = 1; n <= 200; n++) {
		kill(getpid(), SIGUSR1);
		until(SIGUSR1, times + n);
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	CHECK(!on_library_thread, "a handler ran on one of the library's threads");

	forks();
	return 0;
}
