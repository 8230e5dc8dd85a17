// Danger: every way to die of a fatal signal, and every way to live on after one.
// argument: the way
// build: gcc -O1 -g -pthread -fno-builtin -Wno-infinite-recursion
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

static void *volatile sink;

static void fault(void) {
    *(volatile int *)4099 = 1;
}

static void divide(volatile int by) {
    sink = (void *)(long)(7 / by);
}

static __attribute__((noinline)) int fall(volatile char *above) {
    volatile char frame[1024];
    frame[0] = *above;
    return fall(frame) + frame[0];
}

// Frames smaller than those of a hook, so that it is the hook that gets to the end of the stack.
static __attribute__((noinline)) int fall_in_malloc(int depth) {
    volatile char frame[256];
    frame[0] = depth;
    free(sink = malloc(depth & 1023));
    return fall_in_malloc(depth + 1) + frame[0];
}

static void *overflow(void *inside) {
    char first = 0;
    sink = malloc(10);
    return (void *)(long)(inside ? fall_in_malloc(0) : fall(&first));
}

// In a thread that never allocates.
static void *overflow_silently(void *unused) {
    char first = 0;
    (void)unused;
    return (void *)(long)fall(&first);
}

static void *does_nothing(void *unused) { return unused; }

static void in_thread(void *(*what)(void *), void *with) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_t thread;
    pthread_create(&thread, &attributes, what, with);
    pthread_join(thread, NULL);
}

static int overflow_in_c11(void *unused) { return overflow_silently(unused) != NULL; }

static int answers(void *answer) { return *(int *)answer; }

static void in_c11_thread(thrd_start_t what, void *with) {
    thrd_t thread;
    int result = -1;
    if (thrd_create(&thread, what, with) == thrd_success && thrd_join(thread, &result) == thrd_success)
        printf("%d\n", result);
}

static void *allocates(void *unused) {
    for (;;)
        free(sink = malloc(100));
    return unused;
}

static pthread_barrier_t together;

static void *faults(void *allocating) {
    if (allocating)
        sink = malloc(10);
    pthread_barrier_wait(&together);
    fault();
    return NULL;
}

static void many_fault(void *allocating) {
    pthread_t threads[8];
    pthread_barrier_init(&together, NULL, 8);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, faults, allocating);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

static void on_coroutine(void) {
    static ucontext_t inside, outside;
    size_t size = 64 << 10;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, 4096, PROT_NONE);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = size;
    inside.uc_link = &outside;
    makecontext(&inside, (void (*)(void))overflow, 1, NULL);
    swapcontext(&outside, &inside);
}

static void end_of_file(void) {
    FILE *file = tmpfile();
    volatile char *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    sink = (void *)(long)map[0];
}

static void trapped_call(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    getppid();
}

static void small_signal_stack(void) {
    static char stack[8192];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&own, NULL);
}

// The least that the kernel takes: a handler finds no room on it where the processor has large registers.
static void smallest_signal_stack(void) {
    static char stack[2048];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&own, NULL);
}

static void block(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void says_and_resets(int number) {
    const char said[] = "handled\n";
    (void)!write(1, said, sizeof said - 1);
    signal(number, SIG_DFL);
}

static void says_and_raises(int number) {
    says_and_resets(number);
    raise(number);
}

static void exits(int number) {
    (void)number;
    _exit(7);
}

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

static char *closed;

static void opens(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (info->si_addr == closed)
        mprotect(closed, 4096, PROT_READ | PROT_WRITE);
}

static void *lives_by_opening(void *unused) {
    struct sigaction action = {.sa_sigaction = opens, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 100; i++) {
        closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        closed[0] = 1;
        free(sink = malloc(100));
        munmap(closed, 4096);
    }
    return unused;
}

static sigjmp_buf back;

static void jumps(int number) {
    siglongjmp(back, number);
}

static void *lives_by_jumping(void *flags) {
    handle(SIGSEGV, jumps, (long)flags);
    for (volatile int i = 0; i < 100; i++) {
        free(sink = malloc(100));
        if (sigsetjmp(back, 1) == 0)
            fault();
    }
    return NULL;
}

static void *overflows_and_lives(void *unused) {
    (void)unused;
    stack_t own = {.ss_sp = malloc(65536), .ss_size = 65536}, before;
    sigaltstack(&own, &before);
    handle(SIGSEGV, jumps, SA_ONSTACK);
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            overflow(i == 1 ? &own : NULL);
    sigaltstack(&before, &own);
    printf("%d %zu\n", before.ss_flags, own.ss_size);
    free(own.ss_sp);
    return NULL;
}

static void *exits_soon(void *unused) {
    (void)unused;
    usleep(200);
    exit(0);
}

static void *dies_of_kill(void *unused) {
    (void)unused;
    sink = malloc(10);
    kill(getpid(), SIGSEGV);
    pause();
    return NULL;
}

// Whoever traces a process sees with what it dies.
static void traced(const char *how) {
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME);
        raise(SIGSTOP);
        if (strcmp(how, "raise") == 0)
            raise(SIGABRT);
        if (strcmp(how, "queue") == 0)
            sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 77});
        if (strcmp(how, "int3") == 0)
            __asm__ volatile("int3");
        fault();
    }
    siginfo_t info = {0};
    long ip = 0;
    int status;
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        if (WSTOPSIG(status) != SIGSTOP) {
            long registers[27];
            ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
            ptrace(PTRACE_GETREGS, child, NULL, registers);
            ip = registers[16];
        }
        ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status));
    }
    if (info.si_code > 0)
        printf("at %p in %d\n", info.si_addr, ip >= (long)fault && ip < (long)traced + 4096);
    else
        printf("from %d, %d\n", info.si_pid == child, info.si_value.sival_int);
    printf("%d %d %d\n", info.si_signo, info.si_code, WTERMSIG(status));
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    // Deep enough, and not so deep that recording takes its time.
    struct rlimit stack = {512 << 10, 512 << 10};
    setrlimit(RLIMIT_STACK, &stack);
    setvbuf(stdout, NULL, _IONBF, 0);
    sink = malloc(4099);
#define WAY(name) if (strcmp(way, name) == 0)
    WAY("segv") fault();
    WAY("wild") *(volatile int *)0x5a5a5a5a5a5a5a5a = 1;
    WAY("jump") ((void (*volatile)(void))NULL)();
    WAY("bus") end_of_file();
    WAY("fpe") divide(argc - 2);
    WAY("ill") __asm__ volatile("ud2");
    WAY("trap") __asm__ volatile("int3");
    WAY("sys") trapped_call();
    WAY("lost_stack") __asm__ volatile("mov $0x10, %rsp; push %rax");
    WAY("abort") abort();
    // Until somebody has had enough of it.
    WAY("eat") for (;;) memset(sink = malloc(1 << 20), 1, 1 << 20);
    WAY("raise") raise(SIGABRT);
    WAY("kill") dies_of_kill(NULL);
    WAY("kill_in_thread") in_thread(dies_of_kill, NULL);
    WAY("overflow") overflow(NULL);
    WAY("overflow_in_malloc") overflow((void *)&sink);
    WAY("overflow_in_thread") in_thread(overflow, NULL);
    WAY("overflow_in_silent_thread") in_thread(overflow_silently, NULL);
    WAY("overflow_in_c11_thread") in_c11_thread(overflow_in_c11, NULL);
    WAY("c11_thread") in_c11_thread(answers, &(int){-7});
    WAY("overflow_in_later_thread") {
        for (int i = 0; i < 100; i++)
            in_thread(does_nothing, NULL);
        in_thread(overflow_silently, NULL);
    }
    WAY("overflow_in_thread_of_child") {
        pid_t child;
        in_thread(does_nothing, NULL);
        if ((child = fork()) == 0)
            in_thread(overflow_silently, NULL);
        int status;
        waitpid(child, &status, 0);
        printf("%d\n", WTERMSIG(status));
    }
    WAY("overflow_in_thread_in_malloc") in_thread(overflow, (void *)&sink);
    WAY("overflow_on_coroutine") on_coroutine();
    WAY("many") many_fault(NULL);
    WAY("many_recorded") many_fault((void *)&sink);
    WAY("among_others") {
        pthread_t thread;
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, allocates, NULL);
        usleep(10000);
        fault();
    }
    WAY("exit_meanwhile") {
        for (int i = 0; i < 3; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, exits_soon, NULL);
        }
        fault();
    }
    WAY("small_signal_stack") {
        small_signal_stack();
        abort();
    }
    WAY("smallest_signal_stack") {
        smallest_signal_stack();
        abort();
    }
    WAY("default_again") {
        signal(SIGSEGV, exits);
        signal(SIGSEGV, SIG_DFL);
        fault();
    }
    WAY("handler_resets") {
        signal(SIGSEGV, says_and_resets);
        fault();
    }
    WAY("handler_raises") {
        handle(SIGFPE, says_and_raises, 0);
        divide(argc - 2);
    }
    WAY("handler_once") {
        handle(SIGSEGV, (void (*)(int))says_and_resets, SA_RESETHAND | SA_NODEFER);
        fault();
    }
    WAY("abort_handled") {
        handle(SIGABRT, says_and_resets, 0);
        abort();
    }
    WAY("blocked") {
        block(SIGSEGV);
        fault();
    }
    WAY("blocked_abort") {
        block(SIGABRT);
        abort();
    }
    WAY("corrupt") {
        char *block = malloc(2000), *next = malloc(2000);
        memset(block, 'x', 2064);
        free(next);
        free(malloc(100000));
    }
    WAY("child") {
        int status;
        if (fork() == 0)
            fault();
        wait(&status);
        printf("%d\n", WTERMSIG(status));
    }
    WAY("vfork_child") {
        int status;
        pid_t child = vfork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            fault();
        }
        waitpid(child, &status, 0);
        printf("%d\n", WTERMSIG(status));
    }
    WAY("vfork_child_and_parent") {
        int status;
        pid_t child = vfork();
        if (child == 0)
            fault();
        waitpid(child, &status, 0);
        printf("%d\n", WTERMSIG(status));
        fault();
    }
    WAY("opens") lives_by_opening(NULL);
    WAY("opens_in_thread") in_thread(lives_by_opening, NULL);
    WAY("jumps") lives_by_jumping(NULL);
    WAY("jumps_from_stack") lives_by_jumping((void *)SA_ONSTACK);
    WAY("jumps_in_thread") in_thread(lives_by_jumping, (void *)SA_ONSTACK);
    WAY("overflows_and_lives") overflows_and_lives(NULL);
    WAY("overflows_and_lives_in_thread") in_thread(overflows_and_lives, NULL);
    WAY("exits") {
        signal(SIGSEGV, exits);
        fault();
    }
    WAY("ignored") {
        signal(SIGABRT, SIG_IGN);
        raise(SIGABRT);
    }
    WAY("signalfd") {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGSEGV);
        block(SIGSEGV);
        kill(getpid(), SIGSEGV);
        struct signalfd_siginfo info;
        int fd = signalfd(-1, &set, 0);
        (void)!read(fd, &info, sizeof info);
        printf("%u %d\n", info.ssi_signo, info.ssi_code);
    }
    WAY("traced_fault") traced("fault");
    WAY("traced_raise") traced("raise");
    WAY("traced_queue") traced("queue");
    WAY("traced_int3") traced("int3");
    printf("lives\n");
    return 0;
}
