// Danger: exec and posix_spawn with what is no path, no program, no descriptor, no environment or no
// address at all: each fails as libc's does.
// build: gcc -O2 -g -Wno-nonnull
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>

extern char **environ;

#define FAILS(call) (errno = 0, call, printf("%s: %d\n", #call, errno))

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0); // a crash must not hide what came before
    took(MALLOC, 4099, malloc(4099));
    char *arguments[] = {"x", NULL};
    char *volatile null = NULL, *volatile wild = (char *)8;
    char **volatile no_list = NULL, **volatile wild_list = (char **)8;
    int folder = open("/", O_RDONLY | O_DIRECTORY), program = open("/bin/true", O_RDONLY);
    FAILS(execve("/nonexistent", arguments, environ));
    FAILS(execve("/", arguments, environ));
    FAILS(execve("/", arguments, no_list));
    FAILS(execve("", arguments, environ));
    FAILS(execve(null, arguments, environ));
    FAILS(execve(wild, arguments, environ));
    FAILS(execve("/nonexistent", wild_list, environ));
    FAILS(execve("/nonexistent", arguments, wild_list));
    FAILS(execve("/bin/true", arguments, wild_list));
    FAILS(execv(wild, arguments));
    FAILS(execvp("no such program", arguments));
    FAILS(execvp("", arguments));
    FAILS(fexecve(-1, arguments, environ));
    FAILS(fexecve(folder, arguments, environ));
    FAILS(fexecve(program, arguments, no_list));
    FAILS(fexecve(program, no_list, environ));
    pid_t child;
    printf("posix_spawn: %d\n", posix_spawn(&child, "/nonexistent", NULL, NULL, arguments, environ));
    printf("posix_spawn: %d\n", posix_spawn(&child, wild, NULL, NULL, arguments, environ));
    printf("posix_spawnp: %d\n", posix_spawnp(&child, "no such program", NULL, NULL, arguments, no_list));
    ledger_write();
    return 0;
}
