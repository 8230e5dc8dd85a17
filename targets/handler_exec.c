// Danger: vfork and exec in a signal handler whose stack has 8 KiB and no neighbours.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;
static char *arguments[] = {NULL, "child", NULL};
static volatile int sum;

static void handler(int signal) {
    pid_t child = vfork();
    if (child == 0) {
        if (signal == SIGUSR1)
            execve(arguments[0], arguments, environ);
        else
            execv(arguments[0], arguments);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    sum += WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        took(MALLOC, 10007, malloc(10007));
        ledger_write();
        return 5;
    }
    arguments[0] = argv[0];
    // Of 8 KiB, the registers take up to half; where they are larger, the stack is too.
    size_t frame = getauxval(AT_MINSIGSTKSZ), size = 8192;
    while (size < frame + 4096)
        size += 4096;
    char *area = mmap(NULL, size + 2 * 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = area + 65536, .ss_size = size};
    if (mprotect(stack.ss_sp, size, PROT_READ | PROT_WRITE) != 0 || sigaltstack(&stack, NULL) != 0)
        return 2;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    took(MALLOC, 4099, malloc(4099));
    raise(SIGUSR1);
    raise(SIGUSR2);
    ledger_write();
    return sum; // 2 × 5
}
