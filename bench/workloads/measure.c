// Runs a program to its end and writes what it cost: measure [-i] REPORT PROGRAM [ARGUMENT…]
// build: gcc -O2 -static
//
// With -i, the instructions executed in user mode are counted, too, or said to be 0 where they cannot be. Only then:
// the counter is switched with each thread, which is slow in a virtual machine.
//
// The bench puts it at both ends of a chain: measure A heaptape run … measure B PROGRAM. B holds what the program
// alone used, A what the program and the tool used together. It is static, so that no preloaded library gets into
// it, and so that the environment it was given reaches the program untouched; it allocates nothing; and it is
// small: the kernel counts the memory of the process that called exec towards the peak of the new program.
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A program that takes longer than this many seconds hangs: it is killed, and its run has failed.
enum { LIMIT = 200 };

static volatile pid_t child;
// Of instructions, in this process and those it starts; negative without one.
static int counter = -1;

static void count_instructions(void) {
    struct perf_event_attr what = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof what,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    counter = syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void give_up(int signal) {
    (void)signal;
    kill(child, SIGKILL);
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long cpu_us(const struct rusage *usage) {
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000LL + usage->ru_utime.tv_usec +
           usage->ru_stime.tv_usec;
}

static int run(char **words) {
    // What the program leaves behind becomes our child, is waited for and counted.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    long long began = now_ns();
    child = vfork();
    if (child == 0) {
        execvp(words[1], words + 1);
        _exit(127);
    }
    struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    alarm(LIMIT);

    long long cpu = 0, peak_kib = 0;
    int code = 127;
    for (;;) {
        int status;
        struct rusage usage;
        pid_t ended = wait4(-1, &status, 0, &usage);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) break;
        cpu += cpu_us(&usage);
        if (usage.ru_maxrss > peak_kib) peak_kib = usage.ru_maxrss;
        if (ended == child) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    long long wall = now_ns() - began;

    long long instructions = 0;
    if (counter >= 0 && read(counter, &instructions, sizeof instructions) < 0) instructions = 0;

    char text[192];
    int length = snprintf(text, sizeof text,
                          "{\"wall_ns\":%lld,\"cpu_us\":%lld,\"peak_kib\":%lld,\"instructions\":%lld}\n",
                          wall, cpu, peak_kib, instructions);
    int report = open(words[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (report < 0 || write(report, text, length) != length) return 2;
    return code;
}

int main(int count, char **arguments) {
    int counting = count > 1 && strcmp(arguments[1], "-i") == 0;
    if (count < 3 + counting) return 2;
    if (counting) count_instructions();
    return run(arguments + 1 + counting);
}
