/*
 * sdr.h: PreCommit phase 1 and AddPiece of Filecoin sectors, for programs in any language.
 * docs/c-abi.md says how to build and link, and what the requests hold.
 *
 * Calls. A function takes a request, a JSON object, and returns a code. All strings are UTF-8
 * and end with a zero byte. A request is strict: an unknown field, a field that is there twice,
 * a value of a wrong kind or something behind the object is SDR_BAD_REQUEST, before anything
 * was touched. The library reads neither environment nor standard input, and prints nothing.
 *
 * Strings. A request is yours, and is not used when the call has returned. *result is set by
 * each call: to NULL, or to JSON that is yours and that sdr_free frees. After an error, too, it
 * may be JSON: its kind, {"kind":"no-space"}, which tells whether to try again, and what became
 * of each sector. What a callback gets is the library's, until it returns; so is what sdr_version
 * returns, for ever.
 *
 * Threads. Every function may be called from any thread, from many at the same time. Each job
 * has cores of its own, and waits for them if others have them. The library makes threads,
 * whose names begin with "sdr-". A thread that calls may not be cancelled (pthread_cancel) or
 * leave a function by longjmp or an exception.
 *
 * Callbacks are called on the thread that made the call, with its signal mask, no two at the
 * same time. They may call this library. They must return, and soon: the job goes on meanwhile,
 * but nobody learns that it has ended.
 *
 * Signals. The library's threads block the signals that a process gets from outside, so a
 * handler of yours does not run on them, nor while a thread of yours is inside the library's Go
 * code: a thread that waits for its job waits in C, and takes signals as it always does. What
 * Go does not let be otherwise:
 * - SIGSEGV, SIGBUS and SIGFPE have handlers of the library's, which hand on what is not its
 *   own to the handler that was there when it was loaded. If you install one later, give it
 *   SA_ONSTACK, and hand on what is not yours to the handler that was there.
 * - SIGURG is the library's. A handler of yours is not called: do not use this signal.
 * - SIGCHLD and SIGPROF may come on the library's threads. Their handlers need SA_ONSTACK,
 *   and who waits with sigwait or signalfd, with the signal blocked everywhere, misses some.
 * Handlers that are there when the library is loaded get SA_ONSTACK from it.
 *
 * Processes. After fork, the child may only exec: each call fails there. The library cannot be
 * unloaded; dlclose does nothing. A fault that cannot be contained, in one of the library's
 * own threads, ends the process by SIGABRT; one in a call is SDR_FAULT.
 *
 * Versions. SDR_ABI is raised when something here changes that is not an addition. Fields of
 * results, and codes, may be added: pass over what you do not know. What sdr_version says has
 * the library's "abi".
 */
#ifndef SDR_H
#define SDR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SDR_ABI 1

/* What functions return. */
#define SDR_OK 0
#define SDR_FAILED 1      /* the work failed; of several sectors, at least one */
#define SDR_BAD_REQUEST 2 /* the request, or an argument, is wrong */
#define SDR_CANCELED 3    /* cancel said so */
#define SDR_BUSY 4        /* others have the cores, the memory, the sector or the file */
#define SDR_FAULT 5       /* a fault in this library */

/* The most bytes that a request may have. */
#define SDR_MAX_REQUEST 16777216

/* What a job calls meanwhile; a pointer that is NULL is not called. */
typedef struct sdr_callbacks {
	/* Where the job stands, as JSON: at its beginning, and then once a second. */
	void (*progress)(void *context, const char *json);
	/* Cancels the job if it returns something else than 0. It is asked before the job begins,
	 * when nothing was touched yet, and then about ten times a second. A job that was cancelled
	 * ends within about a second, and leaves no file half done under its name. */
	int (*cancel)(void *context);
	/* The first argument of both. */
	void *context;
} sdr_callbacks;

/* Opens a machine, which has settings for its jobs. Options are {} or some of sdrbench's. */
int sdr_open(const char *options, uint64_t *machine);

/* Closes a machine. Jobs at work go on, those that wait for cores end with an error. */
int sdr_close(uint64_t machine);

/* PreCommit phase 1 of sectors of one proof, which are labelled in lock-step. Machine 0 is one
 * without options, and need not be opened. Callbacks may be NULL. */
int sdr_precommit1(uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result);

/* The layers of sectors, from replica ids. */
int sdr_generate(uint64_t machine, const char *request, const sdr_callbacks *callbacks, char **result);

/* Pads a piece and appends it to a staged file. */
int sdr_add_piece(const char *request, const sdr_callbacks *callbacks, char **result);

/* A piece's commitment. */
int sdr_commp(const char *request, const sdr_callbacks *callbacks, char **result);

/* The library's version, as JSON with "version" and "abi". */
const char *sdr_version(void);

/* Why the last of this thread's calls that return a code failed: text for people, "" if it did
 * not. It is there until the thread's next call or end. */
const char *sdr_last_error(void);

/* Frees a result. NULL is one, too. */
void sdr_free(char *result);

#ifdef __cplusplus
}
#endif

#endif
