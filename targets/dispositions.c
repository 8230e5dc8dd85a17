// Danger: programs that ask for dispositions and alternate stacks, and find ours in the place of none.
// build: gcc -O1 -g -pthread -Wno-deprecated-declarations
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern __sighandler_t __sysv_signal(int, __sighandler_t), bsd_signal(int, __sighandler_t);
extern int __sigaction(int, const struct sigaction *, struct sigaction *);

static const int numbers[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,
                              SIGSEGV, SIGSYS, SIGUSR1, SIGQUIT, SIGKILL, 99};

static void handler(int number) {
    (void)number;
}

static const char *name(__sighandler_t disposition) {
    return disposition == SIG_DFL   ? "default"
           : disposition == SIG_IGN ? "ignore"
           : disposition == SIG_ERR ? "error"
           : disposition == SIG_HOLD ? "hold"
           : disposition == handler ? "handler"
                                    : "?";
}

static void shows(const char *when, int number) {
    struct sigaction now;
    memset(&now, 0x55, sizeof now);
    errno = 0;
    int ret = sigaction(number, NULL, &now);
    printf("%s %d: %d %s", when, number, ret, strerrorname_np(errno));
    if (ret == 0)
        printf(" %s", name(now.sa_handler));
    // The flags of a default that the program itself has set mean nothing, and are not kept.
    if (ret == 0 && now.sa_handler != SIG_DFL)
        printf(" %x", now.sa_flags);
    printf("\n");
}

static void sets(const char *how, __sighandler_t (*set)(int, __sighandler_t), int number) {
    const __sighandler_t order[] = {SIG_IGN, SIG_DFL, handler, SIG_DFL, SIG_DFL, SIG_ERR};
    printf("%s %d:", how, number);
    for (int i = 0; i < 6; i++) {
        errno = 0;
        const char *before = name(set(number, order[i]));
        printf(" %s %s", before, strerrorname_np(errno));
    }
    printf("\n");
    shows(how, number);
}

static __sighandler_t by_sigaction(int number, __sighandler_t wanted) {
    struct sigaction action = {.sa_handler = wanted}, before;
    return sigaction(number, &action, &before) ? SIG_ERR : before.sa_handler;
}

static __sighandler_t by_underscores(int number, __sighandler_t wanted) {
    struct sigaction action = {.sa_handler = wanted}, before;
    return __sigaction(number, &action, &before) ? SIG_ERR : before.sa_handler;
}

static void dispositions(void) {
    for (int i = 0; i < 11; i++) {
        int number = numbers[i];
        shows("at first", number);
        sets("sigaction", by_sigaction, number);
        sets("__sigaction", by_underscores, number);
        sets("signal", signal, number);
        sets("bsd_signal", bsd_signal, number);
        sets("ssignal", ssignal, number);
        sets("sysv_signal", sysv_signal, number);
        sets("__sysv_signal", __sysv_signal, number);
        sets("sigset", sigset, number);
        if (number < SIGKILL || number > 64)
            printf("%s", name(sigset(number, SIG_HOLD)));
        printf(" %s\n", name(sigset(number, SIG_DFL)));
        printf("%d", siginterrupt(number, 1));
        shows("siginterrupt", number);
        printf("%d", sigignore(number));
        shows("sigignore", number);
        signal(number, SIG_DFL);
    }
}

static void shows_stack(const char *when, int ret, const stack_t *stack) {
    printf("%s: %d", when, ret);
    if (ret == 0)
        printf(" %d %d %zu", stack->ss_sp != NULL, stack->ss_flags, stack->ss_size);
    printf(" %s\n", ret ? strerrorname_np(errno) : "");
}

static void asks_on_stack(int number) {
    (void)number;
    stack_t now;
    shows_stack("in a handler", sigaltstack(NULL, &now), &now);
}

static void *stacks(void *unused) {
    static char own[1 << 16];
    free(malloc(100));
    stack_t before = {0}, none = {.ss_flags = SS_DISABLE}, mine = {.ss_sp = own, .ss_size = sizeof own};
    shows_stack("at first", sigaltstack(NULL, &before), &before);
    shows_stack("to none", sigaltstack(&none, &before), &before);
    shows_stack("to mine", sigaltstack(&mine, &before), &before);
    shows_stack("to mine", sigaltstack(&mine, &before), &before);
    struct sigaction action = {.sa_handler = asks_on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    shows_stack("to none", sigaltstack(&none, &before), &before);
    shows_stack("to none", sigaltstack(&none, &before), &before);
    raise(SIGUSR1);
    shows_stack("from a bad address", sigaltstack((void *)8, &before), &before);
    shows_stack("to a bad address", sigaltstack(NULL, (void *)8), &before);
    stack_t small = {.ss_sp = own, .ss_size = 100}, odd = {.ss_sp = own, .ss_flags = 77, .ss_size = 9999};
    shows_stack("small", sigaltstack(&small, &before), &before);
    shows_stack("odd", sigaltstack(&odd, &before), &before);
    shows_stack("in the end", sigaltstack(NULL, &before), &before);
    return unused;
}

static void children(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        stack_t now;
        shows("in a child", SIGSEGV);
        shows_stack("in a child", sigaltstack(NULL, &now), &now);
        sets("in a child", signal, SIGSEGV);
        stacks(NULL);
        exit(0);
    }
    waitpid(child, NULL, 0);
    child = vfork();
    if (child == 0) {
        signal(SIGSEGV, SIG_IGN);
        signal(SIGABRT, handler);
        signal(SIGBUS, SIG_DFL);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    shows("after a vfork child", SIGSEGV);
    shows("after a vfork child", SIGABRT);
    shows("after a vfork child", SIGBUS);
}

int main(void) {
    pthread_t thread;
    dispositions();
    stacks(NULL);
    pthread_create(&thread, NULL, stacks, NULL);
    pthread_join(thread, NULL);
    children();
    return 0;
}
