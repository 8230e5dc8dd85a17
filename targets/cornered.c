// Danger: the end of a process that can do very little by then: in a sandbox that kills, out of descriptors, with a
// launcher that is stopped, or interrupted by a handler that ends it as well.
// argument: the corner, then how it ends
// build: gcc -O1 -g -pthread
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

// What libc needs to allocate, to write, to raise a signal and to end.
static void sandbox(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(write), ALLOW(mmap), ALLOW(munmap), ALLOW(brk), ALLOW(futex), ALLOW(exit_group), ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(getpid), ALLOW(gettid), ALLOW(tgkill), ALLOW(newfstatat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void no_descriptors(void) {
    struct rlimit few = {64, 64};
    setrlimit(RLIMIT_NOFILE, &few);
    while (open("/dev/null", O_RDONLY) >= 0) {
    }
}

// Stops the launcher; somebody else wakes it after a second, or when we have ended.
static void stopped(int until_the_end) {
    pid_t launcher = getppid(), self = getpid();
    if (getenv("HEAPTAPE_LINK") == NULL)
        return;
    if (fork() == 0) {
        if (!until_the_end)
            sleep(1);
        while (until_the_end && getppid() == self)
            usleep(10000);
        kill(launcher, SIGCONT);
        _exit(0);
    }
    kill(launcher, SIGSTOP);
    usleep(100000);
}

static void exits(int number) {
    (void)number;
    _exit(3);
}

// Sooner or later within the last moment of this process.
static void alarmed(void) {
    struct itimerval soon = {{0, 100}, {0, 100 + getpid() % 1000}};
    signal(SIGALRM, exits);
    setitimer(ITIMER_REAL, &soon, NULL);
}

int main(int argc, char **argv) {
    const char *corner = argc > 2 ? argv[1] : "", *end = argc > 2 ? argv[2] : "";
    void *volatile block = malloc(4099);
    printf("cornered\n");
    fflush(stdout);
    if (strcmp(corner, "sandbox") == 0)
        sandbox();
    if (strcmp(corner, "no_descriptors") == 0)
        no_descriptors();
    if (strcmp(corner, "stopped") == 0)
        stopped(0);
    if (strcmp(corner, "stopped_long") == 0)
        stopped(1);
    if (strcmp(corner, "alarmed") == 0)
        alarmed();
    free(block);
    if (strcmp(end, "fault") == 0)
        *(volatile int *)4099 = 1;
    if (strcmp(end, "abort") == 0)
        abort();
    return 3;
}
