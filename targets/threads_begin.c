// Danger: a library that has put something ahead of a thread's first routine: it must not be seen in the thread's
// backtrace, on its stack, in libc's control block, nor at its end. Prints the same with and without.
// build: gcc -O1 -g -pthread -fno-omit-frame-pointer
#define _GNU_SOURCE
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#define MANY 300

static pthread_key_t key;
static pthread_barrier_t barrier;

static void says(void *word) { printf("  destructor: %s\n", (char *)word); }
static void cleans(void *word) { printf("  cleanup: %s\n", (char *)word); }

static void *looks(void *argument) {
    void *frames[32];
    uintptr_t *control = __builtin_thread_pointer();
    int arguments = 0, routines = 0;
    for (int i = 0; i < 256; i++) {
        arguments += control[i] == (uintptr_t)argument;
        routines += control[i] == (uintptr_t)looks;
    }
    stack_t stack;
    sigaltstack(NULL, &stack);
    pthread_attr_t attributes;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &size);
    pthread_attr_destroy(&attributes);
    printf("  frames %d, aligned %d, control block %d %d, signal stack %d, stack of %zu\n",
           backtrace(frames, 32), (int)((uintptr_t)__builtin_frame_address(0) % 16), arguments, routines,
           stack.ss_flags, size);
    pthread_setspecific(key, argument);
    return argument;
}

static void *leaves(void *argument) {
    pthread_setspecific(key, argument);
    pthread_cleanup_push(cleans, argument);
    pthread_exit("left");
    pthread_cleanup_pop(0);
    return NULL;
}

static void *waits(void *argument) {
    pthread_cleanup_push(cleans, argument);
    pause();
    pthread_cleanup_pop(0);
    return NULL;
}

static void *meets(void *argument) {
    pthread_barrier_wait(&barrier);
    return argument;
}

static int returns_seven(void *argument) { return argument != NULL ? 7 : 0; }

static void one(const char *name, const pthread_attr_t *attributes, void *(*routine)(void *)) {
    pthread_t thread;
    char *argument = strdup(name);
    void *result = NULL;
    int created = pthread_create(&thread, attributes, routine, argument);
    if (routine == waits)
        pthread_cancel(thread);
    if (created == 0)
        pthread_join(thread, &result);
    printf("%s: %d, %s\n", name, created, result == PTHREAD_CANCELED ? "cancelled" : (char *)result);
    free(argument);
}

static void many(void) {
    pthread_t threads[MANY];
    long sum = 0;
    pthread_barrier_init(&barrier, NULL, MANY);
    for (long i = 0; i < MANY; i++)
        pthread_create(&threads[i], NULL, meets, (void *)i);
    for (int i = 0; i < MANY; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("many: %ld\n", sum);
}

static void *forks(void *argument) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        one("in a child", NULL, looks);
        many();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return argument;
}

int main(void) {
    pthread_attr_t attributes, impossible;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    pthread_attr_init(&impossible);
    pthread_attr_setstacksize(&impossible, (size_t)1 << 50);
    pthread_key_create(&key, says);
    void *frames[1];
    backtrace(frames, 1); // loads what it needs

    one("plain", NULL, looks);
    one("small", &attributes, looks);
    one("exits", NULL, leaves);
    one("cancelled", NULL, waits);
    int failed = 0;
    pthread_t none;
    for (int i = 0; i < 2000; i++)
        failed += pthread_create(&none, &impossible, looks, NULL) != 0;
    printf("failed: %d\n", failed);
    one("after failures", NULL, looks);
    many();
    many();
    one("forks", NULL, forks);
    thrd_t thread;
    int result = 0;
    thrd_create(&thread, returns_seven, &thread);
    thrd_join(thread, &result);
    printf("of C11: %d\n", result);
    return 0;
}
