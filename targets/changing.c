// Danger: memory that changes between snapshots. Two blocks get known bytes; whenever a file `readyN` is there
// they hold those of step N, until there is a file `goN`. Then a child changes its copy and waits in the same way.
// build: gcc -O2 -g
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_at(int step) {
    char name[32];
    snprintf(name, sizeof name, "ready%d", step);
    close(open(name, O_WRONLY | O_CREAT, 0600));
    snprintf(name, sizeof name, "go%d", step);
    while (access(name, F_OK) != 0)
        usleep(1000);
}

int main(void) {
    char *small = malloc(77);
    char *large = malloc(5 * 4096 + 13);
    memset(small, 'a', 77);
    memset(large, 'A', 5 * 4096 + 13);
    wait_at(1);
    memset(small, 'b', 77);
    large[2 * 4096] = 'B';
    wait_at(2);
    free(small);
    small = malloc(79);
    memset(small, 'c', 79);
    pid_t child = fork();
    if (child == 0) {
        char *own = malloc(4243);
        memset(own, 'd', 4243);
        FILE *pid = fopen("child", "w");
        fprintf(pid, "%d", (int)getpid());
        fclose(pid);
        wait_at(3);
        _exit(own[0] - 'd' + small[0] - 'c');
    }
    int status;
    waitpid(child, &status, 0);
    printf("%d %c\n", WEXITSTATUS(status), large[2 * 4096]);
    return 0;
}
