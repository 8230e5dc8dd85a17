// Danger: something happens to the launcher between the forks of a program. Makes the file `ready`, forks
// when there is a file `go`, thirty children after each other, and makes the file `done`.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <stdio.h>
#include <sys/wait.h>

static void make(const char *name) { close(open(name, O_WRONLY | O_CREAT, 0600)); }

int main(void) {
    void *kept = took(MALLOC, 4099, malloc(4099));
    make("ready");
    while (access("go", F_OK) != 0)
        usleep(1000);
    int sum = 0;
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            ledger_forked();
            give(4099, kept);
            took(MALLOC, 1013, malloc(1013));
            ledger_write();
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    give(4099, kept);
    took(MALLOC, 10007, malloc(10007));
    printf("%d children\n", sum);
    fflush(stdout);
    ledger_write();
    make("done");
    return sum;
}
