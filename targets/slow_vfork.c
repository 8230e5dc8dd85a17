// Danger: a vfork whose child takes its time: its parent sits in the kernel, where it cannot be stopped, until `go` is
// there.
// build: gcc -O2 -g
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    void *block = malloc(1000);
    fclose(fopen("ready", "w"));
    pid_t child = vfork();
    if (child == 0) {
        while (access("go", F_OK) != 0) {
            usleep(1000);
        }
        _exit(3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("child: %d\n", WEXITSTATUS(status));
    free(block);
    return 5;
}
